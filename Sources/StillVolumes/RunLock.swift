import StillModel
import StillSystem
import SystemPackage

/// Tells whether a run is alive, which origins it works on and how far it has come: its broker holds a
/// lock on a file of the run's name that lists the origins in its first line, and below them every
/// step with its time. `/run` is empty after a reboot, and then nobody is alive and nothing is
/// suspended. The snapshots themselves are found by their tags.
///
/// A run that gives way ends when somebody wants to copy its volumes: whoever does makes a file of its name and
/// `.wanted`, and waits until its broker has let go.
struct RunLock {
  private let lock: FileLock
  private let run: RunID

  private static let folder: FilePath = "/run/pgstill"

  /// - Throws: `.busy` where another run is at work on one of these origins: each would fill the
  ///   other's snapshots, and wait in the other's window.
  static func take(_ run: RunID, of origins: [VolumeName], givesWay: Bool) throws -> RunLock {
    let note = origins.map(\.description).joined(separator: " ")
    return try gated {
      for other in try known(in: openFolder()) where other.isAlive {
        guard let shared = origins.first(where: other.origins.contains) else { continue }
        throw StillError(
          .busy, "run \(other.run) is at work on volume \(shared)",
          hint: "Wait for it to end; pgstill status shows it.")
      }
      guard let lock = try FileLock.take(FilePath(run.description), in: openFolder(), note: note)
      else {
        throw StillError(.busy, "run \(run) is at work already")
      }
      // Nobody looks before this is written: whoever looks waits at the gate.
      if givesWay { try lock.append("\(Clock.now().iso8601) \(RunStep.givesWay)") }
      return RunLock(lock: lock, run: run)
    }
  }

  /// Whether somebody wants to copy the volumes of this run, which gives way.
  var isWanted: Bool {
    (try? RunLock.openFolder().metadataIfPresent(of: RunLock.wantedName(run))) != nil
  }

  /// Has every run that gives way let go of these origins, and waits until they have.
  ///
  /// - Returns: those that did.
  /// - Throws: `.busy` where one does not within so many seconds.
  static func makeWay(for origins: [VolumeName], within seconds: Double) throws -> [RunID] {
    let asked = try known().filter {
      $0.isAlive && $0.givesWay && $0.origins.contains(where: origins.contains)
    }.map(\.run)
    for run in asked { try openFolder().file(wantedName(run), .update(permissions: 0o600)).close() }
    let patience = Stopwatch()
    for run in asked {
      while try isAlive(run) {
        guard patience.seconds < seconds else {
          throw StillError(
            .busy, "run \(run) was asked to give way, and has not let go of its volumes",
            hint: "pgstill status shows it; look whether its pgstill is stopped.")
        }
        Clock.sleep(milliseconds: 100)
      }
      // It may have ended by itself before it was asked.
      try? openFolder().remove(wantedName(run))
    }
    return asked
  }

  private static func wantedName(_ run: RunID) -> FilePath { FilePath("\(run).wanted") }

  /// A run's file is there a moment before its lock is, and whoever looks at a lock holds it for a
  /// moment: so one at a time, for these few calls.
  private static func gated<Result>(_ body: () throws -> Result) throws -> Result {
    for _ in 0..<500 {
      if let gate = try FileLock.take(".gate", in: openFolder(), note: "") {
        defer { withExtendedLifetime(gate) {} }
        return try body()
      }
      Clock.sleep(milliseconds: 10)
    }
    throw StillError(
      .busy, "another broker holds /run/pgstill/.gate, and does not go on",
      hint: "Look for a pgstill broker that is stopped (ps -C pgstill -o pid,stat,args).")
  }

  /// Writes down that a step of the run is done: "TIME STEP DETAIL". Best effort: no step fails
  /// because it could not be written down.
  func note(_ step: String, _ detail: String = "") {
    let words = [Clock.now().iso8601, step, detail].filter { !$0.isEmpty }
    try? lock.append(words.joined(separator: " "))
  }

  static func isAlive(_ run: RunID) throws -> Bool {
    try gated { try isAlive(run, in: openFolder()) }
  }

  private static func isAlive(_ run: RunID, in folder: OpenFolder) throws -> Bool {
    let name = FilePath(run.description)
    guard try folder.metadataIfPresent(of: name) != nil else { return false }
    return try FileLock.isHeld(name, in: folder)
  }

  /// The runs that have died without giving back what they held, with their origins.
  static func dead() throws -> [(run: RunID, origins: [VolumeName])] {
    try known().filter { !$0.isAlive }.map { ($0.run, $0.origins) }
  }

  /// Every run whose name is there.
  static func known() throws -> [KnownRun] {
    try gated { try known(in: openFolder()) }
  }

  private static func known(in folder: OpenFolder) throws -> [KnownRun] {
    try folder.names().compactMap { name in
      guard let run = RunID(name.string) else { return nil }
      return KnownRun(
        run: run, isAlive: try isAlive(run, in: folder), lines: FileLock.lines(name, in: folder))
    }
  }

  /// The run is over and has left nothing: its name goes too.
  static func forget(_ run: RunID) {
    // Not while somebody looks at it.
    try? gated {
      let folder = try openFolder()
      try? folder.remove(wantedName(run))
      try folder.remove(FilePath(run.description))
    }
  }

  private static func openFolder() throws -> OpenFolder {
    let parent = try OpenFolder.open("/run")
    do {
      return try parent.folder("pgstill")
    } catch {
      // Another broker may have made it at this very moment.
      try? parent.makeFolder("pgstill", permissions: 0o700)
      return try parent.folder("pgstill")
    }
  }
}
