import StillArchive
import StillModel
import StillSystem
import StillVolumes
import SystemPackage

/// What a backup came to.
public struct BackupResult: Sendable {
  public var record: BackupRecord
  /// The folder that was published.
  public var path: FilePath
  /// Every phase with its time, those after the record was written included.
  public var phases: [BackupRecord.Phase]
  public var release: ReleaseReport
}

/// Decides what a backup would do, and changes nothing.
///
/// - Throws: `StillError`, as `backup` would for what does not hold.
public func planBackup(
  _ request: BackupRequest, with provider: some SnapshotProvider, _ observer: any Observer,
  discovery: LayoutDiscovery? = nil
) throws -> BackupPlan {
  let run = Run(observer)
  let cluster = try run.phase(.discover, failsAs: .precondition) {
    try LiveCluster.discover(request.dataDirectory, discovery ?? .current())
  }
  return try run.phase(.plan, failsAs: .precondition) {
    try BackupPlan.make(for: request, of: cluster, with: provider)
  }
}

/// Backs up a running cluster: discover ─▶ plan ─▶ freeze ─▶ copy ─▶ publish ─▶ release.
///
/// - Parameter cancellation: orders it to stop; then nothing is published and nothing is left.
/// - Throws: `StillError` with the phase that failed. Nothing was published then.
public func backup(
  _ request: BackupRequest, with provider: some SnapshotProvider, _ observer: any Observer,
  _ cancellation: Cancellation, discovery: LayoutDiscovery? = nil
) throws -> BackupResult {
  let run = Run(observer, cancellation)
  let began = Clock.now()

  let cluster = try run.phase(.discover, request.dataDirectory.string, failsAs: .precondition) {
    try LiveCluster.discover(request.dataDirectory, discovery ?? .current())
  }
  if request.usesSnapshots { run.makeWay(on: cluster.layout, with: provider) }
  let plan = try run.phase(.plan, failsAs: .precondition) {
    try BackupPlan.make(for: request, of: cluster, with: provider)
  }

  let repository = try Repository.openForWriting(request.repository)
  let destination = try repository.clusterForWriting(plan.cluster)
  let lock = try destination.lock(for: plan.id)
  defer { withExtendedLifetime(lock) {} }
  // Again, for another host may have published its first one since the plan was made.
  try destination.requireBackups(of: cluster.facts.systemIdentifier)
  for name in try destination.removePartials() {
    observer.noticed("removed \(name), which a run that died had left")
  }

  let earlier =
    request.format == .mirror
    ? try destination.latestMirror(of: cluster.facts.systemIdentifier) : nil

  let (record, release): (BackupRecord, ReleaseReport)
  var frozen: FrozenSet?
  do {
    (record, release) = try withSource(
      plan, of: cluster, request, with: provider, run
    ) { source in
      frozen = source.frozen
      let partial = try destination.beginPartial(plan.id)
      TestHooks.reached("partial")
      let copied = try run.phase(.copy, plan.copied, failsAs: .copying) {
        try copy(
          source, of: cluster, plan, request,
          into: CopyPlace(folder: partial, earlier: earlier), run)
      }
      try source.letServerRun()
      let record = copied.record(of: plan, cluster, source, began: began, phases: run.phases)
      try run.phase(.publish, destination.path(of: plan.id).string, failsAs: .copying) {
        try RecordFile.write(
          record, to: partial.file(BackupFolder.recordName, .create(permissions: 0o600)))
        TestHooks.reached("record")
        try run.cancellation.checkpoint()
        if request.format == .mirror {
          try sync(mirror: partial, workers: request.workers, run.cancellation)
        }
        for trouble in try destination.publish(plan.id) { observer.noticed(trouble) }
        TestHooks.reached("published")
      }
      return record
    }
  } catch {
    // Only now: a tree of a million files takes its time to go, and neither a server that was stopped
    // nor a snapshot that fills waits for that.
    TestHooks.reached("removing")
    try? destination.removePartial(plan.id)
    if let overflow = frozen?.overflow(error) {
      destination.keep(overflow, of: plan, cluster, run.observer)
    }
    throw error
  }
  return BackupResult(
    record: record, path: destination.path(of: plan.id), phases: run.phases, release: release)
}

extension BackupPlan {
  /// What the copy becomes, in a word.
  fileprivate var copied: String { format == .tar ? compression : format.rawValue }
}
