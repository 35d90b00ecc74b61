import ArgumentParser
import StillEngine

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
