import StillModel
import StillSystem
import StillVolumes
import SystemPackage

/// Which volumes of a cluster can be frozen now, and what stands in the way of the others: each
/// obstacle with the folder, the device or the amount of room that is the matter, and the way out.
struct Freezable {
  private(set) var volumes: [BackupPlan.Volume] = []
  private(set) var obstacles: [StillError] = []
  /// Whether a volume is of a kind that can never be frozen. What else stands in the way passes: room
  /// that is missing, a pool that is full, a broker that was not allowed.
  private(set) var hasLastingObstacle = false

  /// Nothing, where nothing shall be frozen.
  init() {}

  /// Asks LVM, and changes nothing.
  ///
  /// - Parameters:
  ///   - size: of each snapshot's COW store.
  ///   - destination: a folder that is written to meanwhile, and may lie on none of the volumes; nil where
  ///     that is looked after, or allowed.
  /// - Throws: `.precondition` where the repository's folder cannot be found.
  init(
    _ layout: ClusterLayout, size: SnapshotSize, _ history: FillHistory,
    destination: FilePath?,
    with provider: some SnapshotProvider
  ) throws {
    for fileSystem in layout.fileSystems where fileSystem.volume == nil {
      obstacles.append(Freezable.notAVolume(fileSystem, layout))
      hasLastingObstacle = true
    }
    let carried = layout.fileSystems.filter { $0.volume != nil }
    guard !carried.isEmpty else { return }
    let facts: [VolumeFacts]
    do {
      facts = try provider.survey(carried.compactMap(\.volume))
    } catch {
      obstacles.append(error as? StillError ?? StillError(.volumes, "\(error)"))
      return
    }
    for (fileSystem, facts) in zip(carried, facts) where facts.obstacle != nil {
      obstacles.append(Freezable.cannotBeSnapshotted(facts, fileSystem))
      if facts.obstacleIsLasting { hasLastingObstacle = true }
    }
    let free = zip(carried, facts).filter { $1.obstacle == nil }
    var withoutOverflows: [VolumeName: SizedSnapshot] = [:]
    volumes = free.map { fileSystem, facts in
      // The origins of a group share what it has free, by their size.
      let together = free.map(\.1).filter { $0.name.group == facts.name.group }
        .reduce(0) { $0 + $1.size }
      var basis = SizingBasis(
        volume: facts, used: (try? usedBytes(of: fileSystem, layout)) ?? facts.size,
        freeShare: UInt64(Double(facts.groupFree) * Double(facts.size) / Double(max(together, 1))),
        peaks: history.measured(of: facts.name), overflowed: history.overflowed(of: facts.name))
      // A thin snapshot takes its room from the pool, as it needs it.
      guard facts.kind == .classic else {
        return .init(
          origin: facts.name, size: facts.size, snapshotSize: 0, sizeReason: "the thin pool",
          groupFree: facts.groupFree, fileSystem: fileSystem)
      }
      let sized = size.resolved(for: basis)
      basis.overflowed = []
      withoutOverflows[facts.name] = size.resolved(for: basis)
      return .init(
        origin: facts.name, size: facts.size, snapshotSize: sized.size, sizeReason: sized.reason,
        groupFree: facts.groupFree, fileSystem: fileSystem)
    }
    if let destination { try keepRepositoryOut(destination) }
    keepWithinRoom(withoutOverflows)
  }

  private func usedBytes(
    of fileSystem: MountedFileSystem, _ layout: ClusterLayout
  ) throws -> UInt64 {
    let location = layout.locations.first { $0.fileSystem == fileSystem }
    return try OpenFolder.open(FilePath((location ?? layout.dataDirectory).path)).usedBytes()
  }

  private static func notAVolume(
    _ fileSystem: MountedFileSystem, _ layout: ClusterLayout
  ) -> StillError {
    let location = layout.locations.first { $0.fileSystem == fileSystem } ?? layout.dataDirectory
    let tablespace = layout.tablespaces.first { $0.location == location }
    let role =
      if let tablespace { "tablespace \(tablespace.oid), " } else if location == layout.wal {
        "pg_wal, "
      } else { "" }
    return StillError(
      .precondition,
      "\(role)\(location.path) is on \(fileSystem.source) (\(fileSystem.kind), device "
        + "\(fileSystem.device)), which cannot be snapshotted: "
        + (fileSystem.obstacle ?? "it is not a logical volume"),
      hint: "Move it to a logical volume, or use --consistency online.")
  }

  private static func cannotBeSnapshotted(
    _ facts: VolumeFacts, _ fileSystem: MountedFileSystem
  ) -> StillError {
    StillError(
      .precondition,
      "volume \(facts.name) (\(fileSystem.mountPoint)) cannot be snapshotted: "
        + (facts.obstacle ?? ""),
      hint: facts.remedy ?? "Put it on an active logical volume, or use --consistency online.")
  }

  /// Each byte that is written to an origin while it is snapshotted costs room in its snapshot.
  private mutating func keepRepositoryOut(_ path: FilePath) throws {
    let existing = try? OpenFolder.open(path)
    let folder = try existing ?? Repository.parentFolder(of: path)
    let device = try folder.metadata().device
    guard let volume = volumes.first(where: { $0.fileSystem.device == device }) else { return }
    volumes.removeAll { $0 == volume }
    obstacles.append(
      StillError(
        .precondition,
        "the repository \(path) is on \(volume.origin), a volume that is being snapshotted",
        hint: "Put it on another volume, for each byte written there fills the snapshot; "
          + "or use --allow-repo-on-origin."))
  }

  /// Every volume group has to hold the COW stores of all its origins together. Where it does not, the stores are as
  /// large as if none had ever overflowed: a smaller one may be extended in time, and no night is lost for it.
  private mutating func keepWithinRoom(_ withoutOverflows: [VolumeName: SizedSnapshot]) {
    for (group, members) in Dictionary(grouping: volumes, by: \.origin.group).sorted(by: {
      $0.key < $1.key
    }) {
      var needed = members.reduce(0) { $0 + $1.snapshotSize }
      guard let free = members.map(\.groupFree).min(), free < needed else { continue }
      for index in volumes.indices where volumes[index].origin.group == group {
        guard let usual = withoutOverflows[volumes[index].origin],
          usual.size < volumes[index].snapshotSize
        else { continue }
        volumes[index].snapshotSize = usual.size
        volumes[index].sizeReason = usual.reason + "; one overflowed, but the group has no more"
      }
      needed = volumes.filter { $0.origin.group == group }.reduce(0) { $0 + $1.snapshotSize }
      guard free < needed else { continue }
      volumes.removeAll { $0.origin.group == group }
      obstacles.append(
        StillError(
          .precondition,
          "volume group \(group) has \(ByteCount.text(free)) free, but the snapshots of "
            + members.map(\.origin.volume).joined(separator: ", ")
            + " need \(ByteCount.text(needed))",
          hint: "Use a smaller --snapshot-size, or add a disk: vgextend \(group) DEVICE."))
    }
  }
}
