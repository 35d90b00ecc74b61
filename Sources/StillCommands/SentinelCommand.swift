import ArgumentParser
import StillModel
import StillPostgres
import StillVolumes

struct SentinelCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: Sentinel.verb,
    abstract: "The part that starts a stopped server when pgstill dies; pgstill starts it itself.",
    shouldDisplay: false)

  @Flag(help: "Starts a unit of systemd when the broker dies.")
  var unit = false

  func run() throws {
    let status = unit ? UnitSentinel.serve() : Sentinel.serve()
    if let status = ExitStatus(rawValue: status), status != .done { throw Verdict(status: status) }
  }
}
