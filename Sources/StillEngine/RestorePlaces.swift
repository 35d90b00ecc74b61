import StillModel
import StillSystem
import SystemPackage

/// Whether the places of a restore can be had together.
extension RestorePlan {
  /// - Throws: `.usage`
  static func requireMapped(
    _ mapping: [(old: FilePath, new: FilePath)], _ record: BackupRecord
  ) throws {
    var seen: Set<FilePath> = []
    for (old, _) in mapping {
      guard record.tablespaces.contains(where: { FilePath($0.target) == old }) else {
        let known = record.tablespaces.map(\.target).joined(separator: ", ")
        throw StillError(
          .usage, "the backup has no tablespace at \(old)",
          hint: known.isEmpty ? "It has no tablespaces." : "It has them at: \(known)")
      }
      guard seen.insert(old).inserted else {
        throw StillError(
          .usage, "--tablespace-mapping \(old)=… is given twice",
          hint: "Give each tablespace one new place.")
      }
    }
  }

  /// A server needs a folder for each tablespace and for WAL, apart from what is in the data directory
  /// itself.
  ///
  /// - Throws: `.usage`
  func requireDistinct() throws {
    let data = FilePath(target).resolvedAsFarAsItIs()
    var roles: [FilePath: String] = [data: "the data directory"]
    let wal = walFolder.map { [("WAL", $0)] } ?? []
    for (role, place) in tablespaces.map({ ("tablespace \($0.oid)", $0.new) }) + wal {
      let path = FilePath(place).resolvedAsFarAsItIs()
      if let other = roles.updateValue(role, forKey: path) {
        throw RestorePlan.cannotBeHad("\(other) and \(role) would both be in \(place)")
      }
      // A tablespace may lie in the data directory, though PostgreSQL warns of that.
      guard let inner = path.relative(to: data), let first = inner.components.first else {
        continue
      }
      let isServers = first == "base" || first == "global" || first.string.hasPrefix("pg_")
      if role == "WAL" || isServers {
        throw RestorePlan.cannotBeHad("\(role) would be in the data directory, at \(place)")
      }
    }
  }

  private static func cannotBeHad(_ reason: String) -> StillError {
    StillError(
      .usage, reason,
      hint: "Name folders of their own with --target, --wal-dir and --tablespace-mapping.")
  }

  /// What is cleaned must not hold the backup, nor the repository what is restored.
  ///
  /// - Throws: `.precondition`
  func requireApart(
    from backup: BackupFolder, _ repository: FilePath?, _ existing: ExistingCluster?
  ) throws {
    let discovery = try LayoutDiscovery.current()
    if let existing {
      let place = try discovery.location(of: backup.path)
      let changed = [FilePath(target)] + (try existing.foldersElsewhere(self).map(\.path))
      for home in changed where try place.isInside(discovery.location(of: home)) {
        throw StillError(
          .precondition,
          "the backup \(backup.path) lies inside \(home), where all is removed that is not in it",
          hint: "Move the repository away first.")
      }
    }
    guard let repository, let home = try? discovery.location(of: repository) else { return }
    for folder in folders + (configurationFolder.map { [FilePath($0)] } ?? []) {
      let there = folder.deepestThere()
      guard let place = try? discovery.location(of: there), place.isInside(home) else { continue }
      throw StillError(
        .precondition,
        "\(folder) lies inside the repository \(repository), where it would be taken for backups",
        hint: "Name a folder anywhere else.")
    }
  }

  /// - Throws: `.precondition` for a folder that cannot be made, or of somebody else, and for a file
  ///   of configuration that is there.
  func requireMakeable(_ record: BackupRecord) throws {
    var others: [FilePath] = []
    for folder in folders {
      try RestoreFolder(path: folder).requireMakeable(after: others)
      others.append(folder)
    }
    guard let configurationFolder, !record.configuration.isEmpty else { return }
    let folder = RestoreFolder(path: FilePath(configurationFolder))
    if try OpenFolder.openIfPresent(folder.path) == nil {
      return try folder.requireMakeable(after: others)
    }
    for file in record.configuration {
      try folder.requireFree(FilePath(root: nil, FilePath(file).components))
    }
  }
}

extension FilePath {
  /// Whether both lead to the same folder.
  func isSamePlace(as other: FilePath) -> Bool {
    self == other || (try? resolved() == other.resolved()) ?? false
  }

  /// The folder itself or the nearest above it that is there.
  func deepestThere() -> FilePath {
    var path = self
    while !path.components.isEmpty, (try? OpenFolder.open(path)) == nil {
      path.removeLastComponent()
    }
    return path
  }

  /// With every link resolved, in a path whose end need not be there yet.
  func resolvedAsFarAsItIs() -> FilePath {
    let there = deepestThere()
    guard let start = try? there.resolved() else { return self }
    return start.appending(components.dropFirst(there.components.count))
  }
}
