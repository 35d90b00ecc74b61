import StillModel
import StillSystem
import StillVolumes
import SystemPackage

/// The places of a migration on volumes that were frozen together.
struct FrozenPlaces {
  /// File systems that lie on their volume as it is, and say where.
  static let mappable: Set<String> = ["ext2", "ext3", "ext4", "xfs"]

  let set: FrozenSet
  let plan: MigrationPlan
  let cluster: LiveCluster
  /// Of before the freeze; see `Clock.offset`.
  let clockOffset: Int64

  /// When the window began, by the wall clock, in nanoseconds.
  var moment: Int64 { self.set.report.beganMicroseconds * 1000 }

  /// Whether anybody keeps a list of what is written to one of them.
  var areListed: Bool { self.set.snapshots.contains { $0.kind == .classic } }

  /// - Throws: `.volumes` where the place is on none of them.
  func folder(_ place: MigrationPlan.Place) throws -> OpenFolder {
    let location = try cluster.location(of: place)
    guard let folder = try set.folderIfPresent(location) else {
      throw StillError(.volumes, "\(place.source) is on no volume that was frozen")
    }
    if case .tablespace = place.kind {
      return try folder.folder(FilePath(cluster.directory.tablespaceFolder))
    }
    return folder
  }

  /// Everything that can be found out beforehand about what the files of the stopped server are compared
  /// with.
  func look(_ provider: some SnapshotProvider, _ cancellation: Cancellation) throws -> FrozenLook {
    var files: [String: (VolumeName, FrozenFiles)] = [:]
    for place in plan.places {
      let fileSystem = try cluster.location(of: place).fileSystem
      guard FrozenPlaces.mappable.contains(fileSystem.kind),
        let snapshot = set.snapshots.first(where: { $0.origin == fileSystem.volume }),
        snapshot.kind == .classic
      else { continue }
      files[place.source] = (
        snapshot.origin,
        try FrozenFiles(
          folder(place), excluding: place.excludedPaths, frozen: moment, cancellation)
      )
    }
    // Most of the list is there already. What is read of it now is not read with the server down.
    _ = try provider.overwritten()
    return FrozenLook(files: files, origins: set.snapshots.map(\.origin), provider: provider)
  }
}

/// The files of the places that were frozen, and whoever knows what was written since.
struct FrozenLook {
  /// By the path of the place.
  fileprivate let files: [String: (volume: VolumeName, frozen: FrozenFiles)]
  fileprivate let origins: [VolumeName]
  fileprivate let provider: any SnapshotProvider

  /// Asks for what was written until now. The server has to be down, and all that it wrote on the disks.
  ///
  /// - Throws: where nobody can say.
  func proof() throws -> ChangeProof {
    let lists = Dictionary(zip(origins, try provider.overwritten())) { first, _ in first }
    return ChangeProof(
      places: files.compactMapValues { volume, frozen in
        guard case .some(.some(let written)) = lists[volume] else { return nil }
        return .init(frozen: frozen, written: written)
      })
  }
}

/// What tells of each file whether it can be another one than in the last snapshot.
struct ChangeProof {
  struct Place {
    let frozen: FrozenFiles
    let written: OverwrittenChunks
  }

  /// By the path of the place; those of which nobody keeps a list are missing.
  let places: [String: Place]
}

extension LiveCluster {
  /// Where the folder of a place is; a tablespace's is the one above the cluster's own in it.
  func location(of place: MigrationPlan.Place) throws -> Location {
    switch place.kind {
    case .data: return layout.dataDirectory
    case .wal: return layout.wal
    case .tablespace(let oid):
      guard let tablespace = layout.tablespaces.first(where: { $0.oid == oid }) else {
        throw StillError(.copying, "there is no tablespace \(oid) any more")
      }
      return tablespace.location
    }
  }
}
