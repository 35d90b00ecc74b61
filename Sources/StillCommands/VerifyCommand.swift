import ArgumentParser
import StillEngine
import StillModel
import StillSystem
import SystemPackage

struct VerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify", abstract: "Read every byte of a backup against its manifest.",
    discussion: "With --start, prove it: restore, start, ask, check, remove.")

  @Argument(help: "The backup's id, or latest.")
  var id: String?

  @Flag(help: "Verify every backup of the cluster.")
  var all = false

  @Flag(
    help: ArgumentHelp(
      "Also restore it to a scratch place, start a server on it and check everything.",
      discussion: "What came of it is written into the backup's record."))
  var start = false

  @Option(
    help: ArgumentHelp(
      "Where to make the scratch place (default: the cluster's folder in the repository).",
      valueName: "dir"))
  var scratch: String?

  @Option(
    help: ArgumentHelp(
      "The folder of PostgreSQL's programs, if it is not a usual one.", valueName: "dir"))
  var pgBin: String?

  @OptionGroup var repository: RepositoryOptions
  @OptionGroup var jobs: JobsOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    guard (id != nil) != all else { throw ValidationError("Name a backup, latest, or --all.") }
    guard start || (scratch == nil && pgBin == nil) else {
      throw ValidationError("--scratch and --pg-bin go with --start.")
    }
  }

  func run() throws {
    try Identity.become(ownerOf: repository.path(), .repository)
    let folder = try repository.clusterFolder()
    let backups =
      try id.map { [try folder.backup($0)] }
      ?? folder.backups().map { try folder.backup($0.description) }
    let proof = try start ? proofRequest(folder) : nil
    let observer = output.observer()
    defer { observer.end() }
    let results = try Interruption.watch { cancellation in
      try backups.map { backup in
        var result = try verify(backup, workers: jobs.count, observer, cancellation)
        // A server on files that are known to be bad proves nothing.
        if let proof, result.isGood {
          result.proof = try prove(backup, proof, observer, cancellation)
        }
        return result
      }
    }
    observer.end()
    try output.show(VerifyDocument(backups: results))
    if !results.allSatisfy(\.isGood) { throw Verdict(status: .copying) }
  }

  private func proofRequest(_ folder: ClusterFolder) throws -> ProofRequest {
    var request = ProofRequest(
      scratch: try scratch.map { try FilePath($0).absolute() } ?? folder.path.resolved(),
      workers: jobs.count)
    request.programs = try pgBin.map { try FilePath($0).absolute() }
    request.role = Environment.value("PGUSER")
    // What leads libpq elsewhere must not lead it away from the scratch server.
    Environment.forgetLibpq()
    return request
  }
}
