import StillArchive
import StillModel
import StillSystem
import SystemPackage

/// One cluster's folder in the repository: its backups, each a folder with the run's name; what is
/// being written, in a folder that begins with a dot; the lock; and the link to the latest.
public struct ClusterFolder {
  public let name: String
  let folder: OpenFolder

  private static let partialPrefix = ".partial-"
  private static let lockName: FilePath = ".lock"
  private static let latest: FilePath = "latest"

  public var path: FilePath { folder.path }

  func path(of id: RunID) -> FilePath { folder.path.appending(id.description) }

  /// The published backups, oldest first.
  public func backups() throws -> [RunID] {
    try folder.names().compactMap { RunID($0.string) }.sorted()
  }

  /// Whether nothing but probes was ever made of it: each backup that begins leaves its lock.
  public var isOnlyProbed: Bool {
    guard (try? folder.metadataIfPresent(of: HistoryFolder.name)) != nil,
      (try? folder.metadataIfPresent(of: ClusterFolder.lockName)) == nil
    else { return false }
    return (try? backups())?.isEmpty == true
  }

  /// Opens a backup by its name, or `latest`.
  public func backup(_ name: String) throws -> BackupFolder {
    let all = try backups()
    let id = name == "latest" ? all.last : RunID(name).flatMap { all.contains($0) ? $0 : nil }
    guard let id else {
      throw StillError(
        .precondition, "cluster \(self.name) has no backup \"\(name)\"",
        hint: all.isEmpty
          ? "It has no backups at all." : "See pgstill list; the latest is \(all[all.count - 1]).")
    }
    return BackupFolder(id: id, folder: try folder.folder(FilePath(id.description)))
  }

  /// The newest mirror of a cluster; nil where there is none whose record can be read.
  func latestMirror(of systemIdentifier: UInt64) throws -> BackupFolder? {
    for id in try backups().reversed() {
      guard let backup = try? backup(id.description), let record = try? backup.record(),
        record.kind == .mirror, record.server.systemIdentifier == systemIdentifier
      else { continue }
      return backup
    }
    return nil
  }

  /// Takes the lock that keeps two runs from writing here.
  func lock(for id: RunID) throws -> FileLock {
    let note = "run \(id), process \(Environment.processID)"
    do {
      if let lock = try FileLock.take(ClusterFolder.lockName, in: folder, note: note) {
        return lock
      }
    } catch {
      throw Repository.notWritable(folder.path, error)
    }
    let holder = FileLock.note(ClusterFolder.lockName, in: folder) ?? "somebody"
    throw StillError(
      .busy, "another run is writing backups of cluster \(name): \(holder)",
      hint: "Wait for it to end; nothing was changed.")
  }

  /// Removes what runs that died were writing. The caller holds the lock, so nobody writes now.
  func removePartials() throws -> [String] {
    let partials = try folder.names().filter { $0.string.hasPrefix(ClusterFolder.partialPrefix) }
    for partial in partials { try folder.removeTree(partial) }
    return partials.map(\.string)
  }

  /// Whether somebody writes here, or has died while he did.
  func hasPartials() throws -> Bool {
    try folder.names().contains { $0.string.hasPrefix(ClusterFolder.partialPrefix) }
  }

  /// Makes the folder that a run writes into; nobody takes it for a backup.
  func beginPartial(_ id: RunID) throws -> OpenFolder {
    try folder.makeFolder(partial(id), permissions: 0o700)
    return try folder.folder(partial(id))
  }

  func removePartial(_ id: RunID) throws {
    if try folder.metadataIfPresent(of: partial(id)) != nil { try folder.removeTree(partial(id)) }
  }

  /// Gives a partial its name. Everything in it is on disk before, and the name itself after.
  ///
  /// - Returns: what failed when it had its name; it is published all the same.
  /// - Throws: where it is not published.
  func publish(_ id: RunID) throws -> [String] {
    try folder.folder(partial(id)).syncFileSystem()
    try folder.rename(partial(id), to: FilePath(id.description))
    var troubles: [String] = []
    do { try lead(ClusterFolder.latest, to: id) } catch {
      troubles.append("the link latest does not lead to the backup: \(error)")
    }
    do { try folder.sync() } catch {
      troubles.append("the backup is published, but may not survive a power cut: \(error)")
    }
    return troubles
  }

  /// Makes a link anew, in one step.
  private func lead(_ link: FilePath, to id: RunID) throws {
    let next: FilePath = ".latest-new"
    if try folder.metadataIfPresent(of: next) != nil { try folder.remove(next) }
    try folder.makeLink(next, to: Array(id.description.utf8))
    do { try folder.rename(next, to: link) } catch {
      try? folder.remove(next)
      throw error
    }
  }

  private func partial(_ id: RunID) -> FilePath {
    FilePath(ClusterFolder.partialPrefix + id.description)
  }
}

/// One published backup.
public struct BackupFolder {
  public let id: RunID
  let folder: OpenFolder

  static let recordName: FilePath = "backup.json"
  static let manifestName: FilePath = "backup_manifest"

  public var path: FilePath { folder.path }

  /// - Throws: `.copying` where it cannot be read, as of a copy that is not whole yet.
  public func record() throws -> BackupRecord {
    try requireRecord()
    return try RecordFile.read(folder.file(BackupFolder.recordName))
  }

  /// The record as it lies there.
  func recordBytes() throws -> [UInt8] {
    try requireRecord()
    return try folder.file(BackupFolder.recordName).readAll(limit: RecordFile.mostBytes)
  }

  private func requireRecord() throws {
    guard try folder.metadataIfPresent(of: BackupFolder.recordName) == nil else { return }
    throw StillError(
      .copying, "\(path) is not whole: it has no backup.json",
      hint:
        "See pgstill list for an earlier one. A copy gets that last, below an rsync daemon; where one "
        + "broke off, make it again: pgstill copy.")
  }

  /// Keeps a backup from being copied twice at once from here, for as long as this value lasts.
  ///
  /// - Throws: `.busy` where somebody has it.
  func lock() throws -> FolderLock {
    if let lock = try FolderLock.take(folder) { return lock }
    throw StillError(
      .busy, "backup \(id) is being copied elsewhere",
      hint: "Wait for that to end; nothing was changed.")
  }

  /// The manifest that was written with `record`, and no other.
  ///
  /// - Throws: `.copying` where it was changed or belongs to another backup.
  func manifest(of record: BackupRecord) throws -> ManifestReader {
    let manifest = try ManifestReader(folder.file(BackupFolder.manifestName))
    guard manifest.digest.description == record.manifestSHA256 else {
      throw StillError(
        .copying, "\(path.appending("backup_manifest")) is not the one of this backup",
        hint: "Use another backup, or bring this file back from a copy of the repository.")
    }
    return manifest
  }
}
