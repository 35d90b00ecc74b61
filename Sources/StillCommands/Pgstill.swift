import ArgumentParser
import StillModel
import StillSystem

/// The program: parses, runs one verb, and is the one place that says how the process ends.
public struct Pgstill: ParsableCommand {
  public static let configuration = CommandConfiguration(
    commandName: "pgstill",
    abstract: "File-system-level backups of running PostgreSQL clusters.",
    discussion: """
      Freezes every volume of a cluster at one instant, copies the frozen files while the server \
      runs on, and lets go.

      EXIT STATUS
      \(ExitStatus.table)
      """,
    version: StillVersion.text,
    subcommands: [
      CheckCommand.self, BackupCommand.self, ListCommand.self, ShowCommand.self,
      VerifyCommand.self, RestoreCommand.self, CopyCommand.self, MigrateCommand.self,
      ProbeCommand.self, StatusCommand.self, ReleaseCommand.self,
      BrokerCommand.self, SentinelCommand.self,
    ])

  public init() {}

  /// Runs what the command line says.
  ///
  /// - Returns: the exit status of the process.
  public static func runProcess() -> Int32 {
    Signals.ignoreBrokenPipes()
    Process.raiseFileLimit()
    do {
      var command = try parseAsRoot()
      try command.run()
      return ExitStatus.done.rawValue
    } catch let failure as StillError {
      report(failure)
      return failure.exitCode
    } catch let verdict as Verdict {
      if let failure = verdict.failure { Terminal.talk("pgstill: \(failure)\n") }
      return verdict.code
    } catch {
      return reportUsage(error)
    }
  }

  /// Whether the command line asks for JSON; looked up by hand, for it may be the rest of the
  /// command line that is wrong.
  private static var wantsJSON: Bool { CommandLine.arguments.dropFirst().contains("--json") }

  private static func report(_ failure: StillError) {
    Terminal.talk("pgstill: \(failure)\n")
    if wantsJSON, let text = try? FailureDocument(failure).jsonDocument() {
      Terminal.print(text + "\n")
    }
  }

  /// Help, version, and a command line that cannot be understood.
  private static func reportUsage(_ error: any Error) -> Int32 {
    let code = exitCode(for: error)
    guard !code.isSuccess else {
      Terminal.print(fullMessage(for: error) + "\n")
      return 0
    }
    Terminal.talk(fullMessage(for: error) + "\n")
    let status = code == .validationFailure ? ExitStatus.usage : .failed
    if wantsJSON,
      let text = try? FailureDocument(StillError(status, message(for: error))).jsonDocument()
    {
      Terminal.print(text + "\n")
    }
    return status.rawValue
  }
}

/// The result was shown, and it is not good: ends the process with this status. The result stays the
/// one document on stdout; `failure` is talk.
struct Verdict: Error {
  /// An `ExitStatus`, or that of a process that has done the work.
  var code: Int32
  var failure: StillError?

  init(status: ExitStatus) { code = status.rawValue }

  init(code: Int32) { self.code = code }

  init(_ failure: StillError) {
    code = failure.exitCode
    self.failure = failure
  }
}

/// The one JSON document of a run that failed.
struct FailureDocument: Encodable {
  struct Failure: Encodable {
    var status: Int32
    var meaning: String
    var message: String
    var phase: String?
    var hint: String?
    var further: [String]
  }

  var error: Failure

  init(_ failure: StillError) {
    error = Failure(
      status: failure.exitCode, meaning: failure.status.meaning, message: failure.message,
      phase: failure.phase, hint: failure.hint, further: failure.further)
  }
}
