import StillModel
import StillPostgres
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
  /// Whether the new server is started here, by the source.
  let startsServer: Bool
  let output: OutputOptions

  /// Invite, have it moved, and say how it ended.
  ///
  /// - Returns: the exit status of pgstill over there. What it printed, this process has printed.
  func run() throws -> Int32 {
    try requireOwner()
    // What an sshd of ours starts is ours, too.
    if startsServer { try ServerSwitch.requireLastingPlace() }
    let orders = try SourceOrders()
    let watch = try SignalWatch(orders.passOn)
    defer { watch.end() }
    try phase("asking \(host)", failsAs: .precondition) { try requireProgram() }
    try orders.checkpoint()
    let door = try Doorway(program: sshd)
    let port = Doorway.randomPort()
    let invitation = try door.invite("\(host):\(dataDirectory)", from: port)
    var words = ["migrate", "--pgdata", dataDirectory, "--invited"]
    if let target { words += ["--to", "\(door.host):\(target)"] }
    try orders.checkpoint()
    if !output.quiet { Terminal.talk("pgstill: what follows is said by pgstill on \(host)\n") }
    // A document that is cut off, or followed by that of a failure, is none.
    let result = output.json ? try OpenFile.inMemory() : nil
    let connection = try shell.start(
      program + words + options,
      with: [
        "-T", "-o", "ControlPath=none", "-o", "ExitOnForwardFailure=yes", "-R",
        "127.0.0.1:\(port):127.0.0.1:\(door.port)",
      ], input: orders.listener, output: result)
    let status = try withExtendedLifetime(door) { try orders.accompany(connection, invitation) }
    // ssh's own; or it was killed, as what nobody can say over there with an exit status.
    guard status != 255, status != 128 + 9 else { throw orders.interruption ?? lost }
    guard let result else { return status }
    try result.rewind()
    let document = try String(decoding: result.readAll(), as: UTF8.self)
    guard !document.isEmpty else {
      throw StillError(
        .failed, "pgstill on \(host) ended with status \(status), and said nothing",
        hint: "See whether \(ShellWords.line(program)) may be run there with these options.")
    }
    Terminal.print(document)
    return status
  }

  private var lost: StillError {
    StillError(
      .failed,
      "the connection to \(host) could not be made, or was lost, or pgstill was killed over there",
      hint:
        "If the old server had been stopped by then, it is started again, unless the new one was "
        + "about to be started: then none runs. See there; the way back is: "
        + "pgstill migrate --undo --from \(ShellWords.quoted("\(host):\(dataDirectory)"))")
  }

  /// The new cluster belongs to who runs this.
  private func requireOwner() throws {
    guard Account.effectiveUser != 0 else {
      throw StillError(
        .precondition,
        "PostgreSQL does not run as root, to whom the new data directory would belong",
        hint: "Be its owner: sudo -u postgres pgstill migrate --from …")
    }
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
