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

  func holds(_ location: Location) -> Bool { roots[location.fileSystem.device] != nil }

  /// A folder of the cluster, frozen; nil where its volume is not of the set.
  func folderIfPresent(_ location: Location) throws -> OpenFolder? {
    guard let root = roots[location.fileSystem.device] else { return nil }
    return try root.folder(FilePath(root: nil, FilePath(location.innerPath).components))
  }
}

/// Freezes volumes of a cluster, lets `body` read them, and gives everything back, whatever
/// happens: this is the only way to a snapshot set.
///
/// - Returns: what `body` made, and what came of the release.
/// - Throws: the failure of the freeze or of `body`; a failed release is told with it.
func withFrozenSet<Result>(
  _ order: FreezeOrder, of cluster: LiveCluster,
  with provider: some SnapshotProvider, _ run: Run, at moment: Moment? = nil,
  _ body: (FrozenSet) throws -> Result
) throws -> (Result, ReleaseReport) {
  var snapshots: [SnapshotFacts] = []
  let outcome = Swift.Result {
    snapshots = try run.phase(.prepare, failsAs: .volumes) {
      try provider.prepare(
        order.id, order.volumes.map { SnapshotRequest(origin: $0.origin, size: $0.snapshotSize) },
        folders: order.volumes.map { try order.layout.folder(on: $0.fileSystem) })
    }
    let (lsn, report) = try (moment ?? whileRunning(order, cluster, run)) { prelude in
      try run.phase(.freeze, "\(snapshots.count) volumes", failsAs: .volumes) {
        let lsn = try prelude()
        return (lsn, try provider.freeze(deadline: order.deadline))
      }
    }
    let roots = try phase("opening the snapshots", failsAs: .volumes) { try provider.open() }
    // The kernel unmounts when the last one is closed; LVM removes nothing that is mounted.
    defer { roots.forEach { $0.close() } }
    let watch = try FillWatch(snapshots, provider, order, sysfs: cluster.sysfs, run)
    defer { watch.end() }
    let frozen = FrozenSet(
      report: report, snapshots: snapshots, lsnBefore: lsn, watch: watch,
      roots: Dictionary(uniqueKeysWithValues: zip(order.volumes.map(\.fileSystem.device), roots)))
    do { return try body(frozen) } catch { throw watch.explanation(of: error) }
  }
  let release = Swift.Result {
    try run.phase(.release, failsAs: .leftBehind) { try provider.release() }
  }
  return try settle(outcome, release, snapshots)
}

extension ClusterLayout {
  /// A folder of the cluster on this file system: who has one there may freeze its volume.
  func folder(on fileSystem: MountedFileSystem) throws -> OpenFolder {
    let location = locations.first { $0.fileSystem.device == fileSystem.device }
    return try OpenFolder.open(FilePath(location?.path ?? fileSystem.mountPoint))
  }
}

extension Run {
  /// Has the probes of the cluster's volumes end: their snapshots take room that the next plan counts on, and a
  /// copy is worth more than a probe. Where that is not to be had, the freeze says what is in the way.
  func makeWay(on layout: ClusterLayout, with provider: some SnapshotProvider) {
    let carried = layout.fileSystems.compactMap { fileSystem in
      fileSystem.volume.map { ($0, fileSystem) }
    }
    guard (1...Broker.mostVolumes).contains(carried.count),
      let folders = try? carried.map({ try layout.folder(on: $0.1) })
    else { return }
    do {
      for id in try provider.makeWay(for: carried.map(\.0), folders: folders) {
        observer.noticed("probe \(id) gave way")
      }
    } catch let failure as StillError where failure.status == .busy {
      observer.noticed(failure.message)
    } catch {}
  }
}

/// A failed release does not undo a result, and does not hide a failure.
private func settle<Result>(
  _ outcome: Swift.Result<Result, any Error>, _ release: Swift.Result<ReleaseReport, any Error>,
  _ snapshots: [SnapshotFacts]
) throws -> (Result, ReleaseReport) {
  let report: ReleaseReport
  switch release {
  case .success(let told): report = told
  case .failure(let failure):
    let reason = (failure as? StillError)?.message ?? "\(failure)"
    report = ReleaseReport(
      left: snapshots.map { .init(snapshot: $0.snapshot, reason: reason) })
  }
  do {
    return (try outcome.get(), report)
  } catch var failure as StillError {
    if let left = report.failure { failure.further.append(left.message) }
    throw failure
  }
}

/// What is done around the freeze of a set: it is handed the freeze, which runs what it is given
/// right before the window, for a position that everything before is in the picture of.
typealias Moment = (
  _ freeze: (_ prelude: () throws -> LSN) throws -> (LSN, FreezeReport)
) throws -> (LSN, FreezeReport)

/// The moment of a running server.
private func whileRunning(_ order: FreezeOrder, _ cluster: LiveCluster, _ run: Run) -> Moment {
  { freeze in
    try freeze {
      try flush(order, cluster, run)
      return try cluster.session.flushLSN()
    }
  }
}

/// Leaves as little as possible to be flushed inside the window.
func flush(_ order: FreezeOrder, _ cluster: LiveCluster, _ run: Run) throws {
  try cluster.checkpoint(run.cancellation)
  try order.layout.syncFileSystems(where: order.freezes, run.cancellation)
}

extension ClusterLayout {
  /// Has all that was written to the cluster's file systems on the disks, whoever wrote it.
  func syncFileSystems(
    where isWanted: (Location) -> Bool = { _ in true }, _ cancellation: Cancellation
  ) throws {
    var seen: Set<DeviceNumber> = []
    for location in locations
    where isWanted(location) && seen.insert(location.fileSystem.device).inserted {
      try cancellation.checkpoint()
      try OpenFolder.open(FilePath(location.path)).syncFileSystem()
    }
  }
}
