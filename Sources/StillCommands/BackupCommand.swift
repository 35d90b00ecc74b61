import ArgumentParser
import StillEngine
import StillModel

struct BackupCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "backup", abstract: "Back up a running cluster.",
    discussion: "discover, plan, freeze, copy, publish, release")

  @OptionGroup var options: BackupOptions
  @OptionGroup var output: OutputOptions

  @Flag(help: "Print the plan and stop; nothing is changed.")
  var dryRun = false

  func run() throws {
    let request = try options.request()
    let broker = try Identity.coordinator(of: request.dataDirectory)
    defer { broker.end() }
    let observer = output.observer()
    defer { observer.end() }
    if dryRun {
      try output.show(PlanDocument(plan: planBackup(request, with: broker, observer)))
      return
    }
    let result = try Interruption.watch(broker) { cancellation in
      try backup(request, with: broker, observer, cancellation)
    }
    observer.end()
    try output.show(BackupDocument(result))
    if let failure = result.release.failure { throw Verdict(failure) }
    let isWhole = result.record.missing.isEmpty && result.record.badPages ?? [] == []
    if !isWhole { throw Verdict(status: .incomplete) }
  }
}
