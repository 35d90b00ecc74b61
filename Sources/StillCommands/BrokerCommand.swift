import ArgumentParser
import StillModel

struct BrokerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "broker", abstract: "The part that is root; pgstill starts it itself.",
    shouldDisplay: false)

  @Option(help: "Whom the coordinator serves, by number.")
  var owner: UInt32?

  func run() throws {
    let status = Identity.serveAsBroker(of: owner)
    if let status = ExitStatus(rawValue: status), status != .done { throw Verdict(status: status) }
  }
}
