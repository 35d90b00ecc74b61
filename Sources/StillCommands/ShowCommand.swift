import ArgumentParser
import StillEngine
import StillModel
import StillPages
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
  @OptionGroup var page: PageOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    guard !(fill && output.json) else {
      throw ValidationError("--fill draws; without it, --json has every look.")
    }
  }

  func run() throws {
    try Identity.become(ownerOf: repository.path(), .repository)
    let file = try page.file()
    let cluster = try repository.clusterFolder()
    let isBackup = try cluster.backups().contains { $0.description == id }
    if !isBackup, let (path, kept) = try cluster.historyRecord(id) {
      try show(kept, at: path.string, of: cluster, file)
      return
    }
    let backup = try cluster.backup(id)
    let record = try backup.record()
    let reportFile = try file?.write(
      BackupPage(record: record, repository: repository.path().string).html)
    try fill
      ? output.show(FillDocument(record))
      : output.show(
        ShowDocument(path: backup.path.string, backup: record, reportFile: reportFile))
  }
  private func show(
    _ kept: HistoryRecord, at path: String, of cluster: ClusterFolder, _ file: PageFile?
  ) throws {
    var document = KeptRunDocument(path: path, kept: kept)
    if let file {
      guard let probe = kept.probe else {
        throw StillError(
          .usage, "run \(kept.id) is a backup that was given up: there is no page of it",
          hint: "show \(kept.id) --fill draws how its snapshots filled.")
      }
      document.reportFile = try file.write(
        ProbePage(
          report: probe, hours: cluster.status().hours,
          repository: repository.path().string
        ).html)
    }
    try fill ? output.show(FillDocument(kept)) : output.show(document)
  }
}
