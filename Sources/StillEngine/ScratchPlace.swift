import StillModel
import StillPostgres
import StillSystem
import SystemPackage

/// Makes a folder for the proof of one backup, lets `body` fill it, and removes it whatever happens. What
/// a killed one has left, server and all, the next one removes first.
///
/// - Throws: `.busy` where another proof of the same backup is under way here; `.precondition` where
///   the folder cannot be made.
func withScratchPlace<Result>(
  in parent: FilePath, for id: RunID, _ observer: any Observer,
  _ body: (ScratchPlace) throws -> Result
) throws -> Result {
  let place = try phase(Phase.plan.doing, failsAs: .precondition) {
    let folder = try OpenFolder.open(parent)
    for name in try ScratchPlace.removeLeftovers(in: folder) {
      observer.noticed("removed \(name), which a proof that was killed had left")
    }
    return try ScratchPlace(in: folder, for: id)
  }
  let result: Result
  do {
    result = try body(place)
  } catch {
    guard var failure = error as? StillError else { throw error }
    do { try place.remove() } catch { failure.further.append("\(error)") }
    throw failure
  }
  try place.remove()
  return result
}

/// The folder of one proof. Its lock says whether somebody is at work in it; its name, what it is.
final class ScratchPlace {
  static let prefix = "pgstill-proof-"
  private static let lockName: FilePath = "lock"
  private static let dataName: FilePath = "data"
  private static let serverName: FilePath = "server"

  let path: FilePath
  private let parent: OpenFolder
  private let name: FilePath
  private let lock: FileLock

  init(in parent: OpenFolder, for id: RunID) throws {
    self.parent = parent
    name = FilePath(ScratchPlace.prefix + id.description)
    path = parent.path.appending(name.components)
    if try parent.metadataIfPresent(of: name) != nil {
      let folder = try? parent.folder(name)
      let holder = folder.flatMap { FileLock.note(ScratchPlace.lockName, in: $0) }
      throw StillError(
        .busy, "another proof of backup \(id) is under way: \(holder ?? "\(path) is there")",
        hint: "Wait for it to end, or name another --scratch folder.")
    }
    do { try parent.makeFolder(name, permissions: 0o700) } catch var failure as StillError {
      failure.hint = "Name a folder that can be written with --scratch."
      throw failure
    }
    let folder = try parent.folder(name)
    let note = "process \(Environment.processID)"
    guard let lock = try FileLock.take(ScratchPlace.lockName, in: folder, note: note) else {
      throw StillError(.busy, "another proof of backup \(id) has just begun")
    }
    self.lock = lock
    try folder.makeFolder(ScratchPlace.serverName, permissions: 0o700)
  }

  var dataDirectory: FilePath { path.appending(ScratchPlace.dataName.components) }
  var serverFolder: FilePath { path.appending(ScratchPlace.serverName.components) }
  private var configurationFolder: FilePath { path.appending("config") }

  /// What a server writes beside the restored files and its new WAL: its log, what replay adds.
  private static let serverRoom: UInt64 = 16 << 20

  /// - Throws: `.precondition` where the restored backup and a server on it have no room.
  func requireRoom(_ record: BackupRecord) throws {
    let needed = record.bytesRead + 2 * record.server.walSegmentSize + ScratchPlace.serverRoom
    let free = try OpenFolder.open(path).availableBytes()
    guard free < needed else { return }
    throw StillError(
      .precondition,
      "\(path) has room for \(ByteCount.text(free)), but the restored backup and a server on it take "
        + ByteCount.text(needed),
      hint: "Free some room, or name another folder with --scratch.")
  }

  /// Everything goes below this folder.
  func restoreRequest(_ record: BackupRecord, _ workers: Int) -> RestoreRequest {
    var request = RestoreRequest(target: dataDirectory, workers: workers)
    request.tablespaceMapping = record.tablespaces.map {
      (FilePath($0.target), path.appending("\($0.oid)"))
    }
    if !record.configuration.isEmpty { request.configurationFolder = configurationFolder }
    return request
  }

  /// Where the restored `postgresql.conf` is, if it lay outside the data directory.
  func configurationFile(_ record: BackupRecord) -> FilePath? {
    record.configuration.map { FilePath($0) }
      .first { $0.lastComponent == "postgresql.conf" }
      .map { configurationFolder.appending($0.components) }
  }

  func remove() throws { try parent.removeTree(name) }

  /// - Returns: the names of what was removed.
  static func removeLeftovers(in parent: OpenFolder) throws -> [FilePath] {
    try parent.names().filter { name in
      guard name.string.hasPrefix(prefix), RunID(name.string.dropFirst(prefix.count)) != nil else {
        return false
      }
      let metadata = try parent.metadata(of: name)
      guard metadata.kind == .folder, metadata.owner == Account.effectiveUser else { return false }
      let folder = try parent.folder(name)
      // Nobody gets this lock while a proof is at work; it is held until the folder is gone.
      guard let lock = try FileLock.take(lockName, in: folder, note: "being removed") else {
        return false
      }
      try ScratchServer.endLeftover(
        on: try? folder.folder(dataName), in: try? folder.folder(serverName))
      try parent.removeTree(name)
      withExtendedLifetime(lock) {}
      return true
    }
  }
}
