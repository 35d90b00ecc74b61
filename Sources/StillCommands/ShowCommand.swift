import ArgumentParser
import StillEngine

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
