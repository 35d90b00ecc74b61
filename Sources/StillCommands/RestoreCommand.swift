import ArgumentParser
import StillEngine
import SystemPackage

struct RestoreCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "restore", abstract: "Restore a backup to an empty place.",
    discussion: "locate, plan, (compare), unpack, settle")

  @Argument(help: "The backup's id, or latest.")
  var id: String

  @OptionGroup var repository: RepositoryOptions

  @Option(help: ArgumentHelp("The data directory to make; missing or empty.", valueName: "dir"))
  var target: String

  @Option(
    help: ArgumentHelp(
      "Restore the tablespace that was at OLD to NEW; may be given several times.",
      valueName: "old=new"))
  var tablespaceMapping: [TablespaceMapping] = []

  @Option(
    help: ArgumentHelp("Put WAL here, with a link from the data directory.", valueName: "dir"))
  var walDir: String?

  @Option(
    help: ArgumentHelp(
      "Unpack configuration that lay outside the data directory here, with its old path below.",
      valueName: "dir"))
  var configDir: String?

  @Flag(
    help: ArgumentHelp(
      "Bring the cluster's own data directory to the backup's state: keep files that are right, "
        + "rewrite the others, remove what is not in the backup. No server may run on it, here or "
        + "anywhere; before anything is changed, all archives are read."))
  var forceDelta = false

  @OptionGroup var jobs: JobsOptions

  @Flag(help: "Print the plan and stop; nothing is changed.")
  var dryRun = false

  @OptionGroup var output: OutputOptions

  func run() throws {
    var request = RestoreRequest(
      target: try FilePath(target).absolute(), workers: jobs.count)
    request.forcesDelta = forceDelta
    request.repository = try repository.path()
    request.tablespaceMapping = try tablespaceMapping.map {
      (FilePath($0.old), try FilePath($0.new).absolute())
    }
    request.walFolder = try walDir.map { try FilePath($0).absolute() }
    request.configurationFolder = try configDir.map { try FilePath($0).absolute() }
    try Identity.become(ownerOf: repository.path(), .repository)
    let backup = try repository.clusterFolder().backup(id)
    if dryRun {
      try output.show(RestorePlanDocument(plan: planRestore(request, of: backup)))
      return
    }
    let observer = output.observer()
    defer { observer.end() }
    let result = try Interruption.watch { cancellation in
      try restore(request, of: backup, observer, cancellation)
    }
    observer.end()
    try output.show(RestoreDocument(result: result))
    let isWhole = result.missing.isEmpty && result.changedArchives.isEmpty
    if !isWhole { throw Verdict(status: .incomplete) }
  }
}
