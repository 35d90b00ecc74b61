import ArgumentParser
import StillModel

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
