import StillModel
import StillSystem
import StillVolumes
import SystemPackage

/// Where a cluster's files are read from: frozen volumes, and the live file systems of the rest.
struct ClusterSource {
  /// Nil where nothing is frozen.
  let frozen: FrozenSet?
  /// Everything before this position was on disk when the files began to stand still.
  let flushed: LSN
  /// True where nothing changes anything even on what is not frozen: the server is down.
  let isStill: Bool
  /// The server's backup mode, where the copy is made in it.
  var online: OnlineBackup?
  /// The server that was stopped for it, in mode `shutdown`.
  var server: StoppedServer?

  /// A folder of the cluster, frozen if its volume is.
  func folder(_ location: Location) throws -> OpenFolder {
    if let folder = try frozen?.folderIfPresent(location) { return folder }
    return try OpenFolder.open(FilePath(location.path))
  }

  /// Whether nobody but this run reads this folder: it is on a snapshot.
  func isReadOnce(_ location: Location) -> Bool { frozen?.holds(location) == true }

  /// Whether nothing in this folder can change or vanish while it is read.
  func isStill(_ location: Location) -> Bool {
    isStill || frozen?.holds(location) == true
  }
}

/// Holds a cluster's files so that a copy of them can be made consistent, lets `body` read them, and
/// gives everything back, whatever happens.
///
/// - Returns: what `body` made, and what came of the release.
func withSource<Result>(
  _ plan: BackupPlan, of cluster: LiveCluster, _ request: BackupRequest,
  with provider: some SnapshotProvider, _ run: Run, _ body: (ClusterSource) throws -> Result
) throws -> (Result, ReleaseReport) {
  switch plan.consistency {
  case .snapshot:
    try withFrozenSet(plan.freezeOrder(request), of: cluster, with: provider, run) {
      try body(ClusterSource(frozen: $0, flushed: $0.lsnBefore, isStill: true))
    }
  case .online:
    try withBackupMode(plan, of: cluster, run) { online in
      guard !plan.volumes.isEmpty else {
        let live = ClusterSource(
          frozen: nil, flushed: online.mode.start, isStill: false, online: online)
        return (try body(live), ReleaseReport())
      }
      return try withFrozenSet(plan.freezeOrder(request), of: cluster, with: provider, run) {
        try body(
          ClusterSource(frozen: $0, flushed: $0.lsnBefore, isStill: false, online: online))
      }
    }
  case .shutdown:
    try withStoppedSource(plan, of: cluster, request, with: provider, run, body)
  }
}
