import FoundationEssentials
import StillModel
import StillSystem
import SystemPackage

/// A unit that was stopped on our account, with all that it takes to start it again.
struct StoppedUnit: Codable {
  var unit: ServerUnit
  /// The data directory of its server, for messages.
  var path: String

  /// Starts the unit for somebody who died, and tells the system's log.
  ///
  /// - Parameter folder: the data directory.
  func rescue(_ folder: OpenFolder) {
    let systemctl = Systemctl()
    SystemLog.warn("pgstill ended with \(unit.name) stopped; starting it")
    guard awaitControlFile(folder) else {
      return SystemLog.warn(
        "the cluster of \(path) was moved; type: pgstill migrate --undo --pgdata \(path)")
    }
    for attempt in 1...2 {
      do {
        // Takes back a stop that still waits, waits for one that is under way, and then for the start.
        try systemctl.run(["start", unit.name], within: 600)
        // Its success proves nothing (`ExecStart=-` of Debian's unit).
        if let process = try systemctl.mainProcess(of: unit.name), serves(process, folder) {
          SystemLog.note("\(unit.name) runs")
          startDependants()
          return
        }
        SystemLog.warn("attempt \(attempt): \(unit.name) was started, but no server runs")
      } catch {
        SystemLog.warn("attempt \(attempt): \(error)")
      }
    }
    SystemLog.warn("the server of \(path) is down; type: systemctl start \(unit.name)")
  }

  /// A move takes the control file away, and puts it back where it does not succeed: before that a start is in
  /// vain.
  ///
  /// - Returns: false where it does not come back.
  private func awaitControlFile(_ folder: OpenFolder) -> Bool {
    let watch = Stopwatch()
    while let global = try? folder.folder("global"),
      (try? global.metadataIfPresent(of: "pg_control")) == nil,
      (try? global.metadataIfPresent(of: "pg_control.moved")) != nil
    {
      if watch.seconds > 600 { return false }
      Clock.sleep(milliseconds: 200)
    }
    return true
  }

  /// What systemd stopped together with the unit.
  func startDependants() {
    guard !unit.dependants.isEmpty else { return }
    do {
      try Systemctl().run(["start", "--no-block"] + unit.dependants)
    } catch {
      SystemLog.warn("what was stopped with \(unit.name) is not up again: \(error)")
    }
  }
}

/// Whether `process` works in `folder` and is the one that the lock file there names. The folder
/// belongs to somebody else, so nothing but a plain file is read.
func serves(_ process: Int32, _ folder: OpenFolder) -> Bool {
  guard let place = try? RunningProcess(process).workingFolder().metadata(),
    let own = try? folder.metadata(), (place.device, place.inode) == (own.device, own.inode),
    (try? folder.metadataIfPresent(of: "PG_VERSION"))?.kind == .file,
    // A FIFO in its place must not hold us.
    let file = try? folder.file("postmaster.pid", .readWithoutWaiting),
    (try? file.metadata())?.kind == .file, let bytes = try? file.readAll(limit: 64 << 10),
    let line = String(decoding: bytes, as: UTF8.self).split(separator: "\n").first
  else { return false }
  return Int32(line) == process
}

/// What `Sentinel` is for the coordinator, for the broker: a process of root's that does nothing but
/// wait while a unit is down on our account, and starts it when the broker has died. It is this
/// program again, in a session of its own.
///
/// It hears of the death by the end of a socket, which the systemctl that stops the unit holds open
/// too: when the socket ends, the order to stop has reached systemd, or never will.
public final class UnitSentinel {
  private let channel: Channel
  private let child: Child
  private var isDismissed = false

  /// Posts one. Comes before the stop.
  static func post(over stopped: StoppedUnit, _ folder: OpenFolder) throws -> UnitSentinel {
    let (ours, theirs) = try Channel.pair()
    let null = try OpenFile.open("/dev/null", .update(permissions: 0))
    let child = try Child.start(
      "/proc/self/exe", words, environment: Environment.all, input: null, output: null,
      third: theirs.descriptor, hasOwnSession: true)
    theirs.close()
    try ours.send(Array(JSONEncoder().encode(stopped)), descriptors: [folder.descriptor])
    guard let (answer, _) = try ours.receive(), answer == ready else {
      throw StillError(.failed, "the broker's sentinel did not come up")
    }
    return UnitSentinel(channel: ours, child: child)
  }

  private init(channel: Channel, child: Child) {
    self.channel = channel
    self.child = child
  }

  /// To be held open by whoever may stop the unit.
  var lifeline: Int32 { channel.descriptor }

  /// Lets it go: the unit runs.
  func dismiss() {
    guard !isDismissed else { return }
    isDismissed = true
    try? channel.send(UnitSentinel.dismissed)
    channel.close()
    _ = child.wait()
  }

  /// The hidden verb of the program, and what makes it this one.
  private static let words = ["sentinel", "--unit"]
  private static let ready = Array("ready".utf8)
  private static let dismissed = Array("dismissed".utf8)

  /// Is the sentinel, for the broker that started this process.
  ///
  /// - Returns: the exit status of the process.
  public static func serve() -> Int32 {
    Signals.ignoreAll()
    guard let channel = Channel.inherited(3) else {
      Terminal.talk("pgstill: the sentinel is started by pgstill itself\n")
      return ExitStatus.usage.rawValue
    }
    do {
      guard let (line, descriptors) = try channel.receive(), descriptors.count == 1 else {
        return ExitStatus.failed.rawValue
      }
      let stopped = try JSONDecoder().decode(StoppedUnit.self, from: Data(line))
      let folder = OpenFolder(descriptor: descriptors[0], path: FilePath(stopped.path))
      try channel.send(ready)
      // An error of the socket means the same as its end.
      if let (line, _) = try? channel.receive(), line == dismissed { return 0 }
      stopped.rescue(folder)
      return 0
    } catch {
      SystemLog.warn("\(error)")
      return ExitStatus.failed.rawValue
    }
  }
}
