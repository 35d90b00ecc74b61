import ArgumentParser
import StillModel
import StillPostgres

struct SentinelCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: Sentinel.verb,
    abstract: "The part that starts a stopped server when pgstill dies; pgstill starts it itself.",
    shouldDisplay: false)

  func run() throws {
    let status = Sentinel.serve()
    if let status = ExitStatus(rawValue: status), status != .done { throw Verdict(status: status) }
  }
}
