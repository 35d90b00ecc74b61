import ArgumentParser
import StillEngine
import StillModel

struct VerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify", abstract: "Read every byte of a backup against its manifest.")

  @Argument(help: "The backup's id, or latest.")
  var id: String?

  @Flag(help: "Verify every backup of the cluster.")
  var all = false

  @OptionGroup var repository: RepositoryOptions
  @OptionGroup var jobs: JobsOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    guard (id != nil) != all else { throw ValidationError("Name a backup, latest, or --all.") }
  }

  func run() throws {
    try Identity.become(ownerOf: repository.path(), .repository)
    let folder = try repository.clusterFolder()
    let backups =
      try id.map { [try folder.backup($0)] }
      ?? folder.backups().map { try folder.backup($0.description) }
    let observer = output.observer()
    defer { observer.end() }
    let results = try Interruption.watch { cancellation in
      try backups.map { try verify($0, workers: jobs.count, observer, cancellation) }
    }
    observer.end()
    try output.show(VerifyDocument(backups: results))
    if !results.allSatisfy(\.isGood) { throw Verdict(status: .copying) }
  }
}
