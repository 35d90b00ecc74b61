import StillModel
import StillSystem
import StillTransfer
import SystemPackage

/// A migration that this host, the target, asks the source for: everything that `migrate` does is done by
/// pgstill over there, and what it does here comes back through the same connection. So only this host has
/// to be able to reach the other one.
struct PulledMigration {
  /// `[USER@]HOST` of the source, and the data directory there.
  let host: String
  let dataDirectory: String
  /// ssh to there, and its arguments.
  let shell: RemoteShell
  /// pgstill over there, and what stands before it.
  let program: [String]
  /// sshd on this host, and its arguments.
  let sshd: [String]
  /// The other options of this command line, which are meant for the source.
  let options: [String]
  /// The new data directory on this host; nil where the old server is to be brought back.
  let target: FilePath?
  let isQuiet: Bool

  /// Invite, have it moved, and say how it ended.
  ///
  /// - Returns: the exit status of pgstill over there. What it printed, this process has printed.
  func run() throws -> Int32 {
    let user = try requireOwner()
    try phase("asking \(host)", failsAs: .precondition) { try requireProgram() }
    let door = try Doorway(program: sshd)
    let port = Doorway.randomPort()
    let invitation = try door.invitation(from: port)
    var words = ["migrate", "--pgdata", dataDirectory, "--invited"]
    if let target { words += ["--to", "\(user)@\(PulledMigration.hostName):\(target)"] }
    if !isQuiet { Terminal.talk("pgstill: what follows is said by pgstill on \(host)\n") }
    let orders = try OpenFile.pipe()
    let connection = try shell.start(
      program + words + options,
      with: [
        "-o", "ControlPath=none", "-o", "ExitOnForwardFailure=yes", "-R",
        "127.0.0.1:\(port):127.0.0.1:\(door.port)",
      ], input: orders.reading)
    try orders.reading.close()
    return try withExtendedLifetime(door) {
      try accompany(connection, by: SourceOrders(orders.writing, invitation))
    }
  }

  /// Passes signals on, and waits for the end.
  private func accompany(_ connection: Child, by orders: SourceOrders) throws -> Int32 {
    let watch = try SignalWatch { signal in
      if orders.passOn(signal) { return }
      connection.signalGroup(signal)
      Signals.endProcess(by: signal)
    }
    defer { watch.end() }
    try orders.begin()
    let status = connection.wait()
    // ssh's own.
    guard status != 255 else {
      throw StillError(
        .failed,
        "the connection to \(host) could not be made, or was lost, or pgstill was killed over there",
        hint: "If the old server was stopped by then, and no new one had answered, it is started "
          + "again. Look there, before you start anything here.")
    }
    return status
  }

  /// The new cluster belongs to who runs this.
  private func requireOwner() throws -> String {
    guard Account.effectiveUser != 0, let account = Account.of(user: Account.effectiveUser) else {
      throw StillError(
        .precondition,
        "PostgreSQL does not run as root, to whom the new data directory would belong",
        hint: "Be its owner: sudo -u postgres pgstill migrate --from …")
    }
    return account.name
  }

  /// Both of one version: they speak of the same options.
  private func requireProgram() throws {
    let answer = try shell.run("exec \"$@\" --version", program)
    guard answer.status == 0 else {
      var failure = StillError(
        .precondition, "there is no pgstill on \(host) as \(ShellWords.line(program))",
        hint: "Install it there, or say where it is: --source-command.")
      failure.further = answer.complaint.split(whereSeparator: \.isNewline).suffix(2)
        .map(String.init)
      throw failure
    }
    guard answer.text == StillVersion.text else {
      throw StillError(
        .precondition,
        "pgstill on \(host) is of version \(answer.text), and this one of \(StillVersion.text)",
        hint: "Install the same version on both hosts.")
    }
  }

  /// How this host is called in messages of the other one, which does not need it to get here.
  private static var hostName: String {
    let name = Host.name.filter { $0.isLetter || $0.isNumber || ".-_".contains($0) }
    return name.isEmpty || name.hasPrefix("-") ? "target" : name
  }

  /// Options that are said to the source in other words, or not at all.
  private static let own = ["--from", "--to", "--ssh", "--source-command", "--sshd", "--pgdata"]

  /// What of a command line is meant for the source: all but those.
  ///
  /// - Parameter words: after the verb.
  static func forwarded(_ words: some Sequence<String>) -> [String] {
    var kept: [String] = []
    var isValue = false
    for word in words {
      if isValue {
        isValue = false
      } else if own.contains(word) {
        isValue = true
      } else if !own.contains(where: { word.hasPrefix($0 + "=") }) {
        kept.append(word)
      }
    }
    return kept
  }
}

/// What the target says to pgstill on the source, line by line on its stdin: the invitation, then numbers of
/// signals. The end of it is the end of the target.
final class SourceOrders: Sendable {
  private let line: OpenFile
  private let invitation: Invitation
  private let passed = Monitor(0)

  init(_ line: OpenFile, _ invitation: Invitation) {
    self.line = line
    self.invitation = invitation
  }

  func begin() throws { try line.writeAll(invitation.jsonLine()) }

  /// - Returns: false for the third one, for which nobody waits any more.
  func passOn(_ signal: Int32) -> Bool {
    let count = passed.update { count in
      count += 1
      return count
    }
    // Where the other side is gone, ssh ends too.
    try? line.writeAll(Array("\(signal)\n".utf8))
    return count < 3
  }
}
