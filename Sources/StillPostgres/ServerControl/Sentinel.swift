import CLibPQ
import FoundationEssentials
import StillModel
import StillSystem
import SystemPackage

/// A process that does nothing but wait while the server is down on our account, and starts it when
/// whoever is to do that has died. It is this program again, in a session of its own, so that
/// nothing but SIGKILL ends it.
///
/// It hears of the death by the end of a socket. The program that stops the server holds that open
/// too: when the socket ends, nobody is left who could still stop the server. A stop command of the
/// user's that leaves something running behind has to close descriptor 3 for it.
public final class Sentinel {
  private let channel: Channel
  private let child: Child
  private var isDismissed = false

  /// Posts one. Comes before the stop.
  ///
  /// - Parameter program: the path of this program.
  /// - Throws: where it does not say that it stands there.
  public static func post(over server: ServerSwitch, program: FilePath) throws -> Sentinel {
    let (ours, theirs) = try Channel.pair()
    let null = try OpenFile.open("/dev/null", .update(permissions: 0))
    let child = try Child.start(
      program.string, [verb], environment: Environment.all, input: null, output: null,
      third: theirs.descriptor, hasOwnSession: true)
    theirs.close()
    try ours.send(Array(JSONEncoder().encode(server)))
    guard let (answer, _) = try ours.receive(), answer == ready else {
      throw StillError(.failed, "the sentinel (\(program) \(verb)) did not come up")
    }
    return Sentinel(channel: ours, child: child)
  }

  private init(channel: Channel, child: Child) {
    self.channel = channel
    self.child = child
  }

  /// To be held open by everybody who may stop the server.
  public var lifeline: Int32 { channel.descriptor }

  /// Lets it go: the server runs.
  public func dismiss() {
    guard !isDismissed else { return }
    isDismissed = true
    try? channel.send(Sentinel.dismissed)
    channel.close()
    _ = child.wait()
  }

  /// The hidden verb of the program.
  public static let verb = "sentinel"
  private static let ready = Array("ready".utf8)
  private static let dismissed = Array("dismissed".utf8)

  /// Is the sentinel, for the process that started this one.
  ///
  /// - Returns: the exit status of the process.
  public static func serve() -> Int32 {
    Signals.ignoreAll()
    guard let channel = Channel.inherited(3) else {
      Terminal.talk("pgstill: the sentinel is started by pgstill itself\n")
      return ExitStatus.usage.rawValue
    }
    do {
      guard let (line, _) = try channel.receive() else { return ExitStatus.failed.rawValue }
      let server = try JSONDecoder().decode(ServerSwitch.self, from: Data(line))
      try channel.send(ready)
      // An error of the socket means the same as its end.
      if let (line, _) = try? channel.receive(), line == dismissed { return 0 }
      try server.rescue()
      return 0
    } catch {
      SystemLog.warn("\(error)")
      return (error as? StillError)?.status.rawValue ?? ExitStatus.failed.rawValue
    }
  }
}

extension ServerSwitch {
  /// Starts the server for somebody who died, and tells the system's log.
  fileprivate func rescue() throws {
    SystemLog.warn(
      "pgstill ended with the server of \(dataDirectory) stopped; seeing that it runs")
    _ = try ensureUp(units: nil, isStopPending: true, notice: SystemLog.warn) { postmaster in
      try ConnectionTarget(postmaster: postmaster).requireAnswer()
    }
    SystemLog.note("the server of \(dataDirectory) runs")
  }
}

extension ConnectionTarget {
  /// Asks as pg_isready does, which needs no right to connect.
  ///
  /// - Parameter limit: in seconds; libpq makes at least two of it.
  /// - Returns: whether a server takes connections there.
  public func answers(within limit: Int = 10) -> Bool { ping(limit) == PQPING_OK }

  /// - Throws: `.postgres` where no server takes connections there.
  func requireAnswer() throws {
    let answer = ping(10)
    guard answer == PQPING_OK else {
      throw StillError(.postgres, "no server takes connections there (PQping \(answer.rawValue))")
    }
  }

  private func ping(_ limit: Int) -> PGPing {
    var words = parameters.merging(["connect_timeout": "\(limit)"]) { own, _ in own }
    // Which may be a whole connection string (PQpingParams, `expand_dbname`).
    if let database = databases.first { words["dbname"] = database }
    return withCStrings(words.keys.map { $0 } + [nil]) { keywords in
      withCStrings(words.values.map { $0 } + [nil]) { values in PQpingParams(keywords, values, 1) }
    }
  }
}
