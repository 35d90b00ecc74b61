import StillModel
import StillSystem
import StillVolumes
import SystemPackage

extension MigrationRequest {
  /// The volumes that each pass freezes together: all that the cluster lies on, or none.
  ///
  /// - Returns: none where live files are read; and why these.
  func volumes(
    of cluster: LiveCluster, _ places: [MigrationPlan.Place], areHere: Bool,
    with provider: some SnapshotProvider
  ) throws -> ([BackupPlan.Volume], String) {
    guard usesSnapshots else { return ([], "it was asked for") }
    let layout = cluster.layout
    if let graft = layout.grafts.first {
      return ([], "\(graft.location.path) is a file system of its own inside the data directory")
    }
    let freezable = try Freezable(
      layout, size: snapshotSize, FillHistory(of: nil), destination: nil, with: provider)
    if !freezable.obstacles.isEmpty {
      let why = freezable.obstacles.map(\.message).joined(separator: "; ")
      return ([], "not everything can be frozen at one instant: \(why)")
    }
    // Each byte that is written to an origin costs room in its snapshot.
    for place in places where areHere {
      let device = try FilePath(place.target).nearestFolder().metadata().device
      if let volume = freezable.volumes.first(where: { $0.fileSystem.device == device }) {
        return ([], "\(place.target) is on \(volume.origin), and would fill its snapshot")
      }
    }
    return (
      freezable.volumes, "every volume of the cluster is a logical volume that can be frozen"
    )
  }
}

extension MigrationPlan {
  /// - Parameter id: a set's own, for each pass has another one.
  func freezeOrder(_ id: RunID, _ layout: ClusterLayout) -> FreezeOrder {
    FreezeOrder(
      id: id, layout: layout, volumes: volumes, extending: extending, deadline: freezeDeadline,
      wayWithout: "--no-snapshots")
  }
}
