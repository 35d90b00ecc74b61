import StillModel

/// Which volumes of a cluster are frozen together, and how.
struct FreezeOrder {
  let id: RunID
  let layout: ClusterLayout
  let volumes: [BackupPlan.Volume]
  let extending: ExtensionPolicy
  /// Seconds after which the guard ends the freeze window.
  let deadline: Double
  /// What a user would say to do without snapshots, where one overflowed.
  let wayWithout: String

  /// Whether a folder of the cluster is read from a frozen volume.
  func freezes(_ location: Location) -> Bool {
    volumes.contains { $0.fileSystem.device == location.fileSystem.device }
  }
}

extension BackupPlan {
  func freezeOrder(_ request: BackupRequest) -> FreezeOrder {
    FreezeOrder(
      id: id, layout: layout, volumes: volumes, extending: request.extending,
      deadline: request.freezeDeadline,
      wayWithout: (consistency == .online ? "" : "--consistency online ") + "--no-snapshots")
  }
}
