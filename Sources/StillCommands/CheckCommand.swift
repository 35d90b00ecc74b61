import ArgumentParser
import StillEngine
import StillModel

struct CheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "Say what a backup would do, and whether it can.")

  @OptionGroup var options: BackupOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    let request = try options.request()
    let broker = try Identity.coordinator(of: request.dataDirectory)
    defer { broker.end() }
    let report = check(request, with: broker)
    try output.show(CheckDocument(report: report))
    if report.status != .done { throw Verdict(status: report.status) }
  }
}
