import StillModel
import StillSystem
import SystemPackage

/// Tells whether a run is alive, which origins it works on and how far it has come: its broker holds a
/// lock on a file of the run's name that lists the origins in its first line, and below them every
/// step with its time. `/run` is empty after a reboot, and then nobody is alive and nothing is
/// suspended. The snapshots themselves are found by their tags.
struct RunLock {
  private let lock: FileLock

  private static let folder: FilePath = "/run/pgstill"

  /// - Throws: `.busy` where another run is at work on one of these origins: each would fill the
  ///   other's snapshots, and wait in the other's window.
  static func take(_ run: RunID, of origins: [VolumeName]) throws -> RunLock {
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
      return RunLock(lock: lock)
    }
  }

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

  /// Every run whose name is there, with its origins.
  static func known() throws -> [(run: RunID, origins: [VolumeName], isAlive: Bool)] {
    try gated { try known(in: openFolder()) }
  }

  private static func known(
    in folder: OpenFolder
  ) throws -> [(run: RunID, origins: [VolumeName], isAlive: Bool)] {
    try folder.names().compactMap { name in
      guard let run = RunID(name.string) else { return nil }
      let words = (FileLock.note(name, in: folder) ?? "").split(separator: " ")
      return (run, words.compactMap { VolumeName($0) }, try isAlive(run, in: folder))
    }
  }

  /// The run is over and has left nothing: its name goes too.
  static func forget(_ run: RunID) {
    try? openFolder().remove(FilePath(run.description))
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
