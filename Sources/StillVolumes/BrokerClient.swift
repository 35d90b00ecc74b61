import StillModel
import StillSystem
import Synchronization
import SystemPackage

/// The coordinator's side of the broker: a process that it starts and asks.
public final class BrokerClient: SnapshotProvider {
  /// A broker that runs, and the line to it.
  private struct Connection {
    var channel: Channel
    var child: Child
  }

  private enum State {
    /// Started with the first question.
    case waiting(program: String)
    case running(Connection)
    case ended
  }

  private let state: Mutex<State>
  /// The descriptor of the line for whoever cannot wait for `state`, which is held while a question
  /// waits for its answer; nil when there is none.
  private let line = Mutex<Int32?>(nil)
  private let isAbandoned = Atomic<Bool>(false)
  private let hasDied = Atomic<Bool>(false)

  public var isGone: Bool { hasDied.load(ordering: .acquiring) }

  private init(_ state: sending State) { self.state = Mutex(state) }

  /// A broker: this program again. As root it is started at once, for root is given up next; any
  /// other user needs sudo's leave for it, which is asked for with the first question.
  ///
  /// Must be called before root is given up, and before the first thread.
  ///
  /// - Parameters:
  ///   - program: the path of this program.
  ///   - owner: the user that root is given up for: only volumes that hold a folder of his can be
  ///     frozen. Without one, and for root, none can. sudo itself says who called it.
  public static func start(program: FilePath, owner: UInt32? = nil) throws -> BrokerClient {
    BrokerClient(
      Account.effectiveUser == 0
        ? .running(try startAsRoot(program.string, owner)) : .waiting(program: program.string))
  }

  private static func startAsRoot(_ program: String, _ owner: UInt32?) throws -> Connection {
    let (ours, theirs) = try Channel.pair()
    let kept =
      ["LVM_SYSTEM_DIR", "DM_DISABLE_UDEV", "PATH", "TERM", Systemd.variableForTests]
      + TestHooks.variables
    var environment = ["LC_ALL": "C", "LVM_SUPPRESS_FD_WARNINGS": "1"]
    for name in kept { environment[name] = Environment.value(name) }
    let child = try Child.start(
      program, ["broker"] + (owner.map { ["--owner", String($0)] } ?? []),
      environment: environment, third: theirs.descriptor)
    theirs.close()
    return Connection(channel: ours, child: child)
  }

  /// - Throws: `.precondition` where sudo does not allow it.
  private static func startWithSudo(_ program: String) throws -> Connection {
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
        return Connection(channel: channel, child: child)
      }
      if let status = child.statusIfEnded() {
        throw StillError(
          .precondition, "the broker could not be started as root: sudo gave status \(status)",
          hint: sudoHint(program))
      }
    }
  }

  /// Lets the broker go: it gives back what it still holds, and ends.
  public func end() {
    let child: Child? = state.withLock { state in
      defer { state = .ended }
      guard case .running(let connection) = state else { return nil }
      line.withLock { $0 = nil }
      connection.channel.close()
      return connection.child
    }
    if !isAbandoned.load(ordering: .acquiring) { _ = child?.wait() }
  }

  /// Leaves the broker to itself, from any thread: it gives back what it holds, and nobody waits for
  /// it. A question under way and every later one fail.
  public func abandon() {
    isAbandoned.store(true, ordering: .releasing)
    line.withLock { $0.map(Channel.hangUp) }
  }

  /// What root runs, nobody else may be able to write: only then it belongs into sudoers.
  private static func sudoHint(_ program: String) -> String {
    var path = FilePath(program)
    while !path.components.isEmpty {
      let parent = path.removingLastComponent()
      let metadata = try? OpenFolder.open(parent).metadata(
        of: FilePath(root: nil, path.components.suffix(1)))
      guard let metadata, metadata.owner == 0,
        metadata.mode & 0o022 == 0 || metadata.mode & 0o1000 != 0
      else {
        return "Run pgstill as root, or install it where root alone can write (not so: \(path)), "
          + "and allow its broker in sudoers."
      }
      path = parent
    }
    let user = Account.of(user: Account.effectiveUser)?.name ?? "postgres"
    return "Run pgstill as root, or allow this in sudoers: "
      + "\(user) ALL=(root) NOPASSWD: \(program) broker"
  }

  public func survey(_ volumes: [VolumeName]) throws -> [VolumeFacts] {
    guard case .surveyed(let facts) = try ask(.survey(volumes)).reply else { throw confused() }
    return facts
  }

  public func giveWay() throws {
    guard case .givesWay = try ask(.giveWay).reply else { throw confused() }
  }

  public func makeWay(for volumes: [VolumeName], folders: [OpenFolder]) throws -> [RunID] {
    let reply = try ask(.makeWay(volumes), folders.map(\.descriptor)).reply
    guard case .madeWay(let runs) = reply else { throw confused() }
    return runs
  }

  public func prepare(
    _ run: RunID, _ requests: [SnapshotRequest], folders: [OpenFolder]
  ) throws -> [SnapshotFacts] {
    let descriptors = folders.map(\.descriptor)
    guard case .prepared(let facts) = try ask(.prepare(run: run, requests), descriptors).reply
    else { throw confused() }
    return facts
  }

  public func freeze(deadline: Double) throws -> FreezeReport {
    guard case .frozen(let report) = try ask(.freeze(deadline: deadline)).reply else {
      throw confused()
    }
    return report
  }

  /// Gives up the frozen instant, once everything opened in it is closed: the set waits for another
  /// freeze.
  public func thaw() throws {
    guard case .thawed = try ask(.thaw).reply else { throw confused() }
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

  public func overwritten() throws -> [OverwrittenChunks?] {
    var (reply, descriptors) = try ask(.overwritten)
    // In between others can ask for the fill.
    while case .readingOverwritten = reply { (reply, descriptors) = try ask(.overwritten) }
    var files = descriptors.map { OpenFile(descriptor: $0, path: "list of chunks") }[...]
    guard case .overwritten(let sizes) = reply else { throw confused() }
    return try sizes.map { size in
      guard let size else { return nil }
      guard let file = files.popFirst() else { throw confused() }
      return try OverwrittenChunks(chunkSize: size, file: file)
    }
  }

  public func extend(_ origin: VolumeName, to size: UInt64) throws -> SnapshotFacts {
    guard case .extended(let facts) = try ask(.extend(origin, size: size)).reply else {
      throw confused()
    }
    return facts
  }

  public func held() throws -> [HeldSet] {
    guard case .held(let sets) = try ask(.held).reply else { throw confused() }
    return sets
  }

  public func release() throws -> ReleaseReport { try released(.release) }

  public func sweep() throws -> ReleaseReport { try released(.sweep) }

  private func released(_ request: BrokerRequest) throws -> ReleaseReport {
    guard case .released(let report) = try ask(request).reply else { throw confused() }
    return report
  }

  func ask(
    _ request: BrokerRequest, _ folders: [Int32] = []
  ) throws -> (reply: BrokerReply, descriptors: [Int32]) {
    try state.withLock { state in
      if case .waiting(let program) = state { state = .running(try Self.startWithSudo(program)) }
      if case .running(let connection) = state {
        line.withLock { $0 = connection.channel.descriptor }
        // The order may have come before there was a line.
        if isAbandoned.load(ordering: .acquiring) { Channel.hangUp(connection.channel.descriptor) }
      }
      guard case .running(let connection) = state,
        (try? connection.channel.send(message: request, descriptors: folders)) != nil,
        let (line, descriptors) = try? connection.channel.receive()
      else {
        hasDied.store(true, ordering: .releasing)
        throw StillError(
          .volumes, "the broker has died",
          hint: "Run pgstill release now: it gives back what the broker held.")
      }
      let reply = try BrokerReply(line: line)
      if case .failed(let failure) = reply { throw failure }
      return (reply, descriptors)
    }
  }

  func confused() -> StillError {
    StillError(.failed, "the broker gave an answer to another question")
  }
}
