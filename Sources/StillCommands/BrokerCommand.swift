import ArgumentParser
import StillModel

struct BrokerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "broker", abstract: "The part that is root; pgstill starts it itself.",
    shouldDisplay: false)

  func run() throws {
    let status = Identity.serveAsBroker()
    if let status = ExitStatus(rawValue: status), status != .done { throw Verdict(status: status) }
  }
}
