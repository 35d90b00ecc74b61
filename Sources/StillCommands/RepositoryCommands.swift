import ArgumentParser
import StillArchive
import StillEngine
import StillModel
import StillSystem
import SystemPackage

struct ListCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List the published backups.")

  @OptionGroup var repository: RepositoryOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    let path = try repository.path()
    try Identity.become(ownerOf: path, .repository)
    let opened = try Repository.open(path)
    let names = try repository.cluster.map { [$0] } ?? opened.clusterNames()
    try output.show(ListDocument(try names.map { try opened.cluster($0) }))
  }
}

struct ShowCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Show one backup: what, when, how, from where.")

  @Argument(help: "The backup's id, or latest.")
  var id: String

  @OptionGroup var repository: RepositoryOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    try Identity.become(ownerOf: repository.path(), .repository)
    let backup = try repository.clusterFolder().backup(id)
    try output.show(ShowDocument(path: backup.path.string, backup: backup.record()))
  }
}

struct VerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify", abstract: "Read every byte of a backup against its manifest.")

  @Argument(help: "The backup's id, or latest.")
  var id: String?

  @Flag(help: "Verify every backup of the cluster.")
  var all = false

  @OptionGroup var repository: RepositoryOptions
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
      try backups.map { try verify($0, observer, cancellation) }
    }
    observer.end()
    try output.show(VerifyDocument(backups: results))
    if !results.allSatisfy(\.isGood) { throw Verdict(status: .copying) }
  }
}

struct RestoreCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "restore", abstract: "Restore a backup to an empty place.",
    discussion: "locate, plan, unpack, settle")

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

  @Flag(help: "Print the plan and stop; nothing is changed.")
  var dryRun = false

  @OptionGroup var output: OutputOptions

  func run() throws {
    var request = RestoreRequest(target: try FilePath(target).absolute())
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
  }
}

/// `OLD=NEW`; an equals sign in a path is written `\=`, as pg_basebackup has it.
struct TablespaceMapping: ExpressibleByArgument {
  var old: String
  var new: String

  init?(argument: String) {
    var parts = [""]
    var isEscaped = false
    for character in argument {
      switch character {
      case "\\" where !isEscaped: isEscaped = true
      case "=" where !isEscaped: parts.append("")
      default:
        if isEscaped, character != "=" { parts[parts.count - 1].append("\\") }
        parts[parts.count - 1].append(character)
        isEscaped = false
      }
    }
    guard parts.count == 2, parts[0].hasPrefix("/"), !parts[1].isEmpty else { return nil }
    (old, new) = (parts[0], parts[1])
  }
}

struct ReleaseCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "release", abstract: "Remove the snapshots that runs which died have left.",
    discussion:
      "Only snapshots with pgstill's own tags are ever removed, and none of a run at work.")

  @OptionGroup var output: OutputOptions

  func run() throws {
    let broker = try Identity.broker()
    defer { broker.end() }
    let report = try broker.sweep()
    try output.show(ReleaseDocument(report: report))
    if let failure = report.failure { throw Verdict(failure) }
  }
}

struct BrokerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "broker", abstract: "The part that is root; pgstill starts it itself.",
    shouldDisplay: false)

  func run() throws {
    let status = Identity.serveAsBroker()
    if let status = ExitStatus(rawValue: status), status != .done { throw Verdict(status: status) }
  }
}
