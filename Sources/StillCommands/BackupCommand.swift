import ArgumentParser
import StillEngine
import StillModel
import SystemPackage

struct BackupCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "backup", abstract: "Back up a running cluster.",
    discussion: "discover, plan, freeze, copy, publish, release")

  @OptionGroup var options: BackupOptions

  @Option(
    help: ArgumentHelp(
      "When it is published, copy the backup to another repository: DIR, [USER@]HOST:DIR or "
        + "rsync://HOST[:PORT]/MODULE[/DIR], as pgstill copy does. If that fails, the exit status is 3.",
      valueName: "target"))
  var copyTo: String?

  @OptionGroup var ssh: SSHOptions
  @OptionGroup var output: OutputOptions

  @Flag(help: "Print the plan and stop; nothing is changed.")
  var dryRun = false

  func run() throws {
    let request = try options.request()
    let elsewhere = try copyTo.map { try Destination(option: "--copy-to", $0) }
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
    // Nothing that is left to do needs root.
    broker.end()
    let copy = elsewhere.map {
      BackupCopy(of: result, in: request.repository, to: $0, ssh.words, observer)
    }
    observer.end()
    try output.show(BackupDocument(result, copy: copy))
    if let failure = result.release.failure { throw Verdict(failure) }
    if let failure = copy?.failure { throw Verdict(failure) }
    let isWhole =
      result.record.missing.isEmpty && result.record.badPages ?? [] == []
      && copy?.result?.missing ?? [] == []
    if !isWhole { throw Verdict(status: .incomplete) }
  }
}
