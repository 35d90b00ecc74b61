import StillArchive
import StillModel
import StillSystem
import StillVolumes
import SystemPackage

/// What the caller wants of a backup.
public struct BackupRequest: Sendable {
  /// Absolute.
  public var dataDirectory: FilePath
  /// Absolute.
  public var repository: FilePath
  public var cluster: String?
  public var compression = Compression.standard
  public var snapshotSize = SnapshotSize.standard
  /// Threads that compress.
  public var workers: Int
  /// Seconds after which the guard ends the freeze window.
  public var freezeDeadline = 5.0
  public var allowsRepositoryOnOrigin = false

  public init(dataDirectory: FilePath, repository: FilePath, workers: Int) {
    self.dataDirectory = dataDirectory
    self.repository = repository
    self.workers = workers
  }
}

extension BackupPlan {
  /// Decides everything that a backup does, and refuses what cannot be done. Changes nothing.
  ///
  /// - Throws: `.precondition` with the folder, the device or the amount of room that is the matter.
  static func make(
    for request: BackupRequest, of cluster: LiveCluster, with provider: some SnapshotProvider
  ) throws -> BackupPlan {
    for location in cluster.layout.locations { try requireVolume(location, cluster.layout) }
    let fileSystems = cluster.layout.fileSystems
    let facts = try provider.survey(fileSystems.compactMap(\.volume))
    let volumes = try zip(fileSystems, facts).map { fileSystem, facts in
      if let obstacle = facts.obstacle {
        throw StillError(
          .precondition,
          "volume \(facts.name) (\(fileSystem.mountPoint)) cannot be snapshotted: \(obstacle)",
          hint: "Every volume of the cluster has to be an ordinary, active logical volume.")
      }
      return Volume(
        origin: facts.name, size: facts.size,
        snapshotSize: request.snapshotSize.resolved(for: facts), groupFree: facts.groupFree,
        fileSystem: fileSystem)
    }
    try requireRoom(for: volumes)
    let name = request.cluster ?? cluster.standardName
    if !request.allowsRepositoryOnOrigin {
      try requireRepositoryElsewhere(request.repository, volumes)
    }
    return BackupPlan(
      id: RunID(at: Clock.now()), cluster: name,
      repository: request.repository.appending(name).string, consistency: .snapshot,
      reason: "every volume of the cluster is a logical volume that can be frozen",
      compression: request.compression.description, workers: request.workers,
      layout: cluster.layout, volumes: volumes, configuration: cluster.outsideConfiguration())
  }

  private static func requireVolume(_ location: Location, _ layout: ClusterLayout) throws {
    let fileSystem = location.fileSystem
    guard fileSystem.volume == nil else { return }
    let tablespace = layout.tablespaces.first { $0.location == location }
    let role =
      if let tablespace { "tablespace \(tablespace.oid), " } else if location == layout.wal {
        "pg_wal, "
      } else { "" }
    throw StillError(
      .precondition,
      "\(role)\(location.path) is on \(fileSystem.source) (\(fileSystem.kind), device "
        + "\(fileSystem.device)), which cannot be snapshotted: "
        + (fileSystem.obstacle ?? "it is not a logical volume"),
      hint: "Every folder of the cluster has to be on a logical volume: move this one to one.")
  }

  /// Every volume group has to hold the COW stores of all its origins together.
  private static func requireRoom(for volumes: [Volume]) throws {
    for (group, members) in Dictionary(grouping: volumes, by: \.origin.group).sorted(by: {
      $0.key < $1.key
    }) {
      let needed = members.reduce(0) { $0 + $1.snapshotSize }
      guard let free = members.map(\.groupFree).min(), free < needed else { continue }
      throw StillError(
        .precondition,
        "volume group \(group) has \(ByteCount.text(free)) free, but the snapshots of "
          + members.map(\.origin.volume).joined(separator: ", ")
          + " need \(ByteCount.text(needed))",
        hint: "Use a smaller --snapshot-size, or add a disk: vgextend \(group) DEVICE.")
    }
  }

  /// Each byte that is written to an origin while it is snapshotted costs room in its snapshot.
  private static func requireRepositoryElsewhere(_ path: FilePath, _ volumes: [Volume]) throws {
    let existing = try? OpenFolder.open(path)
    let folder = try existing ?? Repository.parentFolder(of: path)
    let device = try folder.metadata().device
    guard let volume = volumes.first(where: { $0.fileSystem.device == device }) else { return }
    throw StillError(
      .precondition,
      "the repository \(path) is on \(volume.origin), a volume that is being snapshotted",
      hint: "Put it on another volume, for each byte written there fills the snapshot; "
        + "or use --allow-repo-on-origin.")
  }
}
