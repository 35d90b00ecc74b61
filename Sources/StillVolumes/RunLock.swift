import StillModel
import StillSystem
import SystemPackage

/// Tells whether a run is alive: its broker holds a lock on a file of the run's name. `/run` is empty
/// after a reboot, and then nobody is alive. The snapshots themselves are found by their tags.
struct RunLock {
  private let lock: FileLock
  private let name: FilePath

  private static let folder: FilePath = "/run/pgstill"

  static func take(_ run: RunID) throws -> RunLock {
    let folder = try openFolder()
    let name = FilePath(run.description)
    let note = "process \(Environment.processID)"
    guard let lock = try FileLock.take(name, in: folder, note: note) else {
      throw StillError(.busy, "run \(run) is at work already")
    }
    return RunLock(lock: lock, name: name)
  }

  static func isAlive(_ run: RunID) throws -> Bool {
    let folder = try openFolder()
    let name = FilePath(run.description)
    guard try folder.metadataIfPresent(of: name) != nil else { return false }
    let note = FileLock.note(name, in: folder) ?? ""
    return try FileLock.take(name, in: folder, note: note) == nil
  }

  /// The run is over and has left nothing: its name goes too.
  static func forget(_ run: RunID) {
    try? openFolder().remove(FilePath(run.description))
  }

  private static func openFolder() throws -> OpenFolder {
    let parent = try OpenFolder.open("/run")
    if try parent.metadataIfPresent(of: "pgstill") == nil {
      try parent.makeFolder("pgstill", permissions: 0o700)
    }
    return try parent.folder("pgstill")
  }
}
