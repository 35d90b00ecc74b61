import StillModel
import StillSystem
import SystemPackage

/// What can be known of the start while the server still runs: once it is stopped, each of these
/// would be found with nobody served.
extension ServerSwitch {
  /// - Parameters:
  ///   - process: the server's first.
  ///   - directory: its data directory.
  /// - Throws: `.precondition` with what would keep the server from coming back as it was.
  func rehearse(_ process: RunningProcess, in directory: DataDirectory) throws {
    try readConfiguration(process, directory)
    switch control {
    case .pgCtl, .pgCtlCluster:
      if let log {
        do { try OpenFolder.requireWritableFile(FilePath(log)) } catch let failure as StillError {
          throw StillError(
            .precondition, "the server's log could not be opened at its start: \(failure.message)",
            hint: "Give it to the server's owner, or say how the server is started: "
              + "--stop-command and --start-command.")
        }
      }
      try requireSameStanding(process)
    case .unit, .commands: break
    }
  }

  /// Lets the server's own program read its configuration with the words, and in the environment, that
  /// the server was started with (the manual, "postgres", option -C).
  private func readConfiguration(_ process: RunningProcess, _ directory: DataDirectory) throws {
    // Whoever gave commands may have a server that cannot be examined.
    guard let program = try? process.executable(), let words = try? process.arguments(),
      let environment = try? process.environment()
    else { return }
    var (folder, rest) = ServerControl.PgCtl.split(Array(words.dropFirst()))
    // A relative one was meant from where the server was started.
    if let given = folder, !FilePath(given).isAbsolute { folder = dataDirectory }
    // First, for only then PostgreSQL lets root ask.
    let question = ["-C", "data_directory"] + (folder.map { ["-D", $0] } ?? []) + rest
    let errand = try Errand([program.string] + question, environment: environment)
    guard errand.wait(atMost: 30) == 0 else {
      let failure = errand.failure
      errand.end()
      throw StillError(
        .precondition, "the server would not start with its configuration as it is now: \(failure)",
        hint: "Mend the configuration first; the server that runs has read an older one.")
    }
    let answer = errand.lines.last ?? ""
    let told = try? OpenFolder.open(FilePath(answer)).metadata()
    let own = try directory.folder.metadata()
    guard let told, (told.device, told.inode) == (own.device, own.inode) else {
      throw StillError(
        .precondition,
        "the server would start with another data directory: \(errand.line) says \(answer), and it "
          + "serves \(dataDirectory)",
        hint: "Its configuration was changed since it was started; mend that first.")
    }
  }

  /// A server that is started from here has what this process has.
  private func requireSameStanding(_ process: RunningProcess) throws {
    let own = try ProcessStanding(of: RunningProcess(Environment.processID))
    guard let server = try? ProcessStanding(of: process) else { return }
    let found = own.shortfalls(behind: server)
    guard found.isEmpty else {
      throw StillError(
        .precondition,
        "the server would come back with less than it has now, for pgstill itself runs so: "
          + found.joined(separator: "; "),
        hint: "Run pgstill without nice, ionice and limits of its own, or say how the server is "
          + "stopped and started: --stop-command and --start-command.")
    }
  }
}
