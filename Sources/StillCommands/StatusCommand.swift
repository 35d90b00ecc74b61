import ArgumentParser
import StillModel

struct StatusCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "Show the snapshots that runs hold, or have left.",
    discussion: "Nothing is changed; release removes what runs that died have left.")

  @OptionGroup var output: OutputOptions

  func run() throws {
    let broker = try Identity.broker()
    defer { broker.end() }
    try output.show(StatusDocument(try broker.held()))
  }
}
