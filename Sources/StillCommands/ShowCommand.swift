import ArgumentParser
import StillEngine
import StillSystem

struct ShowCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show",
    abstract: "Show one backup: what, when, how, from where. Or a probe, once more.")

  @Argument(help: "The id of a backup, or of a probe that was kept; or latest, the latest backup.")
  var id: String

  @Flag(help: "Draw how the snapshots filled.")
  var fill = false

  @OptionGroup var repository: RepositoryOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    guard !(fill && output.json) else {
      throw ValidationError("--fill draws; without it, --json has every look.")
    }
  }

  func run() throws {
    try Identity.become(ownerOf: repository.path(), .repository)
    let cluster = try repository.clusterFolder()
    if let (path, kept) = try cluster.historyRecord(id) {
      try fill ? output.show(FillDocument(kept)) : output.show(KeptRunDocument(path.string, kept))
      return
    }
    let backup = try cluster.backup(id)
    let record = try backup.record()
    try fill
      ? output.show(FillDocument(record))
      : output.show(ShowDocument(path: backup.path.string, backup: record))
  }
}
