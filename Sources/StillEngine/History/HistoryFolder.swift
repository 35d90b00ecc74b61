import StillModel
import StillSystem
import SystemPackage

extension HistoryRecord: Sealed {
  static let wayOutOfDamage = "Remove it, or bring it back from a copy of the repository."
  static let wayToLess = "Look less often: a longer --interval."
}

/// What runs of one cluster have left that published no backup: `CLUSTER/history/ID.json`. Nobody takes it for a
/// backup, for its name is none of a run.
struct HistoryFolder {
  let cluster: ClusterFolder
  let folder: OpenFolder

  static let name: FilePath = "history"
  private static let suffix = ".json"
  private static let newPrefix = ".new-"

  var path: FilePath { folder.path }

  /// The runs that have left something, oldest first.
  func ids() throws -> [RunID] {
    try folder.names().compactMap { name in
      guard name.string.hasSuffix(Self.suffix) else { return nil }
      return RunID(name.string.dropLast(Self.suffix.count))
    }.sorted()
  }

  /// - Throws: `.copying` where it cannot be read.
  func record(_ id: RunID) throws -> HistoryRecord {
    try SealedFile.read(folder.file(Self.name(of: id)))
  }

  func path(of id: RunID) -> FilePath { path.appending(Self.name(of: id).components) }

  /// Keeps a record: all of it, or nothing.
  func keep(_ record: HistoryRecord) throws {
    let lock = try lock()
    defer { withExtendedLifetime(lock) {} }
    // Nobody else writes now, so these are of runs that died.
    for name in try folder.names() where name.string.hasPrefix(Self.newPrefix) {
      try folder.remove(name)
    }
    let newName = FilePath("\(Self.newPrefix)\(record.id)")
    do {
      try SealedFile.replace(Self.name(of: record.id), with: record, by: newName, in: folder)
    } catch {
      try? folder.remove(newName)
      throw error
    }
  }

  /// Somebody who writes here does so for a moment only.
  private func lock() throws -> FolderLock {
    for _ in 0..<100 {
      if let lock = try FolderLock.take(folder) { return lock }
      Clock.sleep(milliseconds: 100)
    }
    throw StillError(.busy, "somebody else is writing to \(path) and does not end")
  }

  private static func name(of id: RunID) -> FilePath { FilePath(id.description + suffix) }
}

extension ClusterFolder {
  /// What runs have left here that published no backup; nil where none has.
  func history() throws -> HistoryFolder? {
    guard try folder.metadataIfPresent(of: HistoryFolder.name) != nil else { return nil }
    return HistoryFolder(cluster: self, folder: try folder.folder(HistoryFolder.name))
  }

  /// The same, made where it is missing.
  ///
  /// - Throws: `.precondition` where it cannot be written.
  func historyForWriting() throws -> HistoryFolder {
    do {
      if try folder.metadataIfPresent(of: HistoryFolder.name) == nil {
        try folder.makeFolder(HistoryFolder.name, permissions: 0o700)
      }
      let history = HistoryFolder(cluster: self, folder: try folder.folder(HistoryFolder.name))
      try history.folder.requireWritable()
      return history
    } catch {
      throw Repository.notWritable(folder.path, error)
    }
  }

  /// What a run has left here that published no backup; nil where none of that name has.
  ///
  /// - Throws: `.copying` where it cannot be read.
  public func historyRecord(_ name: String) throws -> (path: FilePath, record: HistoryRecord)? {
    guard let id = RunID(name), let history = try history(), try history.ids().contains(id) else {
      return nil
    }
    return (history.path(of: id), try history.record(id))
  }
}
