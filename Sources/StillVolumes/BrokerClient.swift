import StillModel
import StillSystem
import Synchronization
import SystemPackage

/// The coordinator's side of the broker: a process that it starts and asks.
public final class BrokerClient: SnapshotProvider {
  private struct State: ~Copyable {
    var channel: Channel
    var roots: [String] = []
  }

  private let state: Mutex<State>
  private let child: Child?

  /// Talks to a broker at the other end of `channel`; `child` is waited for in `end()`.
  public init(channel: sending Channel, child: Child?) {
    state = Mutex(State(channel: channel))
    self.child = child
  }

  /// Starts the broker: this program again. As root that is all; any other user needs sudo's leave
  /// for it.
  ///
  /// Must be called before root is given up, and before the first thread.
  ///
  /// - Parameter program: the path of this program.
  /// - Throws: `.precondition` where sudo does not allow it.
  public static func start(program: FilePath) throws -> BrokerClient {
    try Account.effectiveUser == 0 ? startAsRoot(program.string) : startWithSudo(program.string)
  }

  private static func startAsRoot(_ program: String) throws -> BrokerClient {
    let (ours, theirs) = try Channel.pair()
    let kept = ["LVM_SYSTEM_DIR", "DM_DISABLE_UDEV", "PATH", "TERM"] + TestHooks.variables
    var environment = ["LC_ALL": "C", "LVM_SUPPRESS_FD_WARNINGS": "1"]
    for name in kept { environment[name] = Environment.value(name) }
    let child = try Child.start(
      program, ["broker"], environment: environment, socket: theirs.descriptor)
    theirs.close()
    return BrokerClient(channel: ours, child: child)
  }

  private static func startWithSudo(_ program: String) throws -> BrokerClient {
    let socket = try NamedSocket()
    let (reading, writing) = try OpenFile.pipe()
    // sudo cleans the environment; it wants a PATH to look for itself.
    let child = try Child.start(
      "/usr/bin/sudo", ["-n", "--", program, "broker"],
      environment: ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin"], input: reading)
    try reading.close()
    try writing.writeAll(Array((socket.name + "\n").utf8))
    try writing.close()
    while true {
      if let channel = try socket.accept(from: 0, milliseconds: 100) {
        return BrokerClient(channel: channel, child: child)
      }
      if let status = child.statusIfEnded() {
        let user = Account.of(user: Account.effectiveUser)?.name ?? "postgres"
        throw StillError(
          .precondition, "the broker could not be started as root: sudo gave status \(status)",
          hint: "Run pgstill as root, or allow this in sudoers: "
            + "\(user) ALL=(root) NOPASSWD: \(program) broker")
      }
    }
  }

  /// Lets the broker go: it gives back what it still holds, and ends.
  public func end() {
    state.withLock { $0.channel.close() }
    _ = child?.wait()
  }

  public func survey(_ volumes: [VolumeName]) throws -> [VolumeFacts] {
    guard case .surveyed(let facts) = try ask(.survey(volumes)).reply else { throw confused() }
    return facts
  }

  public func prepare(_ run: RunID, _ requests: [SnapshotRequest]) throws -> [SnapshotFacts] {
    guard case .prepared(let facts) = try ask(.prepare(run: run, requests)).reply else {
      throw confused()
    }
    return facts
  }

  public func freeze(deadline: Double) throws -> FreezeReport {
    guard case .frozen(let report) = try ask(.freeze(deadline: deadline)).reply else {
      throw confused()
    }
    return report
  }

  public func open() throws -> [OpenFolder] {
    let (reply, descriptors) = try ask(.open)
    let folders = descriptors.enumerated().map { index, descriptor in
      OpenFolder(descriptor: descriptor, path: FilePath("snapshot \(index + 1):"))
    }
    guard case .opened = reply else { throw confused() }
    return folders
  }

  public func fill() throws -> [SnapshotFill] {
    guard case .filled(let fills) = try ask(.fill).reply else { throw confused() }
    return fills
  }

  public func release() throws -> ReleaseReport { try released(.release) }

  public func sweep() throws -> ReleaseReport { try released(.sweep) }

  private func released(_ request: BrokerRequest) throws -> ReleaseReport {
    guard case .released(let report) = try ask(request).reply else { throw confused() }
    return report
  }

  private func ask(_ request: BrokerRequest) throws -> (reply: BrokerReply, descriptors: [Int32]) {
    try state.withLock { state in
      guard (try? state.channel.send(message: request)) != nil,
        let (line, descriptors) = try? state.channel.receive()
      else {
        throw StillError(
          .volumes, "the broker has died",
          hint: "Its snapshots go with the next run, or with pgstill release.")
      }
      let reply = try BrokerReply(line: line)
      if case .failed(let failure) = reply { throw failure }
      return (reply, descriptors)
    }
  }

  private func confused() -> StillError {
    StillError(.failed, "the broker gave an answer to another question")
  }
}
