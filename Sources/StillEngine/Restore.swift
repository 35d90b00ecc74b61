import StillArchive
import StillModel
import StillSystem
import SystemPackage

/// What a restore came to.
public struct RestoreResult: Sendable, Codable {
  public var plan: RestorePlan
  /// Files that were written, and their content.
  public var files: UInt64
  public var bytes: UInt64
  /// Nil where nothing was there before.
  public var delta: Delta?
  /// What is not in the backup, each with the reason.
  public var missing: [String]
  /// Archives that were changed since they were written, in places that are no content.
  public var changedArchives: [String]
  /// What could not be made as it was, and what is left to do.
  public var notes: [String]
  /// Links in the place of the server's own files, which would lead a server into another one's.
  public var linksNotMade: [String]
  public var phases: [BackupRecord.Phase]
}

extension RestoreResult {
  /// What became of the files that were there.
  public struct Delta: Hashable, Sendable, Codable {
    /// Files that were right already, and their content.
    public var keptFiles: UInt64 = 0
    public var keptBytes: UInt64 = 0
    /// Files and links that were not, or that the backup does not have; WAL among them.
    public var removedFiles: UInt64 = 0
  }
}

/// Decides what a restore would do, and changes nothing.
public func planRestore(_ request: RestoreRequest, of backup: BackupFolder) throws -> RestorePlan {
  try phase(Phase.plan.doing, failsAs: .precondition) {
    try RestorePlan.make(for: request, of: backup, backup.record())
  }
}

/// Restores a backup: locate ─▶ plan ─▶ (verify ─▶ compare) ─▶ unpack ─▶ settle.
///
/// The data directory's archive is unpacked last, and in it the control file comes last, so a
/// restore that was killed leaves a folder that no server starts on. What is there already is changed
/// only when the whole backup was read and found good.
///
/// - Throws: `.precondition` where a target is not empty or has no room, `.copying` where the backup
///   is damaged, `.busy` where another restore is at work in the target.
public func restore(
  _ request: RestoreRequest, of backup: BackupFolder, _ observer: any Observer,
  _ cancellation: Cancellation
) throws -> RestoreResult {
  let run = Run(observer, cancellation)
  let (record, manifest) = try run.phase(.locate, backup.path.string, failsAs: .copying) {
    let record = try backup.record()
    return (record, try backup.manifest(of: record))
  }
  let (plan, lock, delta) = try run.phase(.plan, failsAs: .precondition) {
    // Refuses before anything is made; and looks again with the lock, for another restore may have
    // ended meanwhile.
    _ = try RestorePlan.make(for: request, of: backup, record)
    let lock = try lockTarget(request.target)
    let plan = try RestorePlan.make(for: request, of: backup, record)
    return (plan, lock, try plan.isDelta ? DeltaJob(plan, record, manifest, run) : nil)
  }
  defer { withExtendedLifetime(lock) {} }
  let job = RestoreJob(plan, record, manifest, backup, run)
  if let delta {
    try run.phase(.verify, backup.path.string, failsAs: .copying) { try job.requireArchives() }
    try run.phase(.compare, plan.target, failsAs: .copying) { try delta.compare() }
  }
  try run.phase(.unpack, plan.target, failsAs: .copying) {
    try delta?.invalidate()
    do {
      try delta?.clear()
      try job.unpack()
    } catch {
      throw delta?.cutShort(error) ?? error
    }
  }
  let notes = try run.phase(.settle, failsAs: .copying) {
    try delta?.end()
    return try job.settle() + (delta?.notes ?? [])
  }
  return RestoreResult(
    plan: plan, files: job.files, bytes: job.bytes, delta: delta?.result(job),
    missing: record.missing, changedArchives: job.changedArchives, notes: notes,
    linksNotMade: job.linksNotMade.map(\.path.string),
    phases: run.phases)
}

/// Keeps other restores away from a target, which is made where it is missing.
private func lockTarget(_ target: FilePath) throws -> FolderLock {
  if let lock = try FolderLock.take(RestoreFolder(path: target).make()) { return lock }
  throw StillError(
    .busy, "another restore is at work in \(target)", hint: "Wait for it to end.")
}
