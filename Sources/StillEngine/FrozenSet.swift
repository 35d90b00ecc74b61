import StillModel
import StillSystem
import StillVolumes
import SystemPackage

/// A cluster's volumes as they were at one instant, open for reading.
struct FrozenSet {
  let report: FreezeReport
  let snapshots: [SnapshotFacts]
  /// Everything that was committed before this position is in the picture.
  let lsnBefore: LSN
  let watch: FillWatch
  fileprivate let roots: [DeviceNumber: OpenFolder]

  /// A folder of the cluster, frozen.
  func folder(_ location: Location) throws -> OpenFolder {
    guard let root = roots[location.fileSystem.device] else {
      throw StillError(.failed, "\(location.path) is on no volume of the set")
    }
    let inner = FilePath(location.innerPath)
    return try root.folder(FilePath(root: nil, inner.components))
  }
}

/// Freezes the volumes of a plan, lets `body` read them, and gives everything back, whatever
/// happens: this is the only way to a snapshot set.
///
/// - Returns: what `body` made, and what came of the release.
/// - Throws: the failure of the freeze or of `body`; a failed release is told with it.
func withFrozenSet<Result>(
  _ plan: BackupPlan, of cluster: LiveCluster, deadline: Double,
  with provider: some SnapshotProvider,
  _ log: PhaseLog, _ observer: any Observer, _ cancellation: Cancellation,
  _ body: (FrozenSet) throws -> Result
) throws -> (Result, ReleaseReport) {
  var outcome: Swift.Result<Result, any Error>
  var snapshots: [SnapshotFacts] = []
  do {
    snapshots = try log.run(.prepare, failsAs: .volumes) {
      try provider.prepare(
        plan.id, plan.volumes.map { SnapshotRequest(origin: $0.origin, size: $0.snapshotSize) })
    }
    try cancellation.checkpoint()
    let (lsn, report) = try log.run(.freeze, "\(snapshots.count) volumes", failsAs: .volumes) {
      try flush(plan, cluster)
      let lsn = try cluster.session.flushLSN()
      return (lsn, try provider.freeze(deadline: deadline))
    }
    let roots = try phase("opening the snapshots", failsAs: .volumes) { try provider.open() }
    let watch = try FillWatch(provider, observer, cancellation)
    let frozen = FrozenSet(
      report: report, snapshots: snapshots, lsnBefore: lsn, watch: watch,
      roots: Dictionary(uniqueKeysWithValues: zip(plan.volumes.map(\.fileSystem.device), roots)))
    outcome = Swift.Result { try body(frozen) }
    watch.end()
    // The kernel unmounts when the last one is closed; LVM removes nothing that is mounted.
    roots.forEach { $0.close() }
  } catch {
    outcome = .failure(error)
  }
  let release = Swift.Result {
    try log.run(.release, failsAs: .leftBehind) { try provider.release() }
  }
  switch (outcome, release) {
  case (.success(let result), .success(let report)): return (result, report)
  case (.success(let result), .failure(let failure)):
    return (
      result,
      ReleaseReport(
        left: snapshots.map {
          .init(snapshot: $0.snapshot, reason: (failure as? StillError)?.message ?? "\(failure)")
        })
    )
  case (.failure(let failure), let release):
    guard var error = failure as? StillError else { throw failure }
    switch release {
    case .success(let report): error.further += report.failure.map { [$0.message] } ?? []
    case .failure(let second): error.further.append((second as? StillError)?.message ?? "\(second)")
    }
    throw error
  }
}

/// Leaves as little as possible to be flushed inside the window.
private func flush(_ plan: BackupPlan, _ cluster: LiveCluster) throws {
  try cluster.session.checkpoint()
  var seen: Set<DeviceNumber> = []
  for location in plan.layout.locations where seen.insert(location.fileSystem.device).inserted {
    try OpenFolder.open(FilePath(location.path)).syncFileSystem()
  }
}
