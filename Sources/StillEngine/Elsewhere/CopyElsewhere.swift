import StillArchive
import StillModel
import StillSystem
import StillTransfer
import SystemPackage

/// Decides what a copy to another repository would do, and changes nothing.
public func planCopyElsewhere(
  _ request: ElsewhereRequest, of backup: BackupFolder
) throws -> ElsewherePlan {
  let record = try phase(Phase.locate.doing, failsAs: .copying) { try backup.record() }
  return try phase(Phase.plan.doing, failsAs: .precondition) {
    try ElsewherePlan.make(for: request, of: backup, record).plan
  }
}

/// Copies a backup to another repository: locate ─▶ plan ─▶ transfer ─▶ publish.
///
/// It goes on where an earlier attempt broke off. One that is there already is compared, by content.
///
/// - Throws: `.busy` where this backup is being copied or removed; `.precondition` where the other
///   repository cannot be had; `.copying` where the backup there is another one, or files do not come through.
public func copyElsewhere(
  _ request: ElsewhereRequest, of backup: BackupFolder, _ observer: any Observer,
  _ cancellation: Cancellation
) throws -> ElsewhereResult {
  let run = Run(observer, cancellation)
  let (lock, record, recordBytes) = try run.phase(
    .locate, backup.path.string, failsAs: .copying
  ) {
    let lock = try backup.lock()
    let bytes = try backup.recordBytes()
    return (lock, try backup.record(), bytes)
  }
  defer { withExtendedLifetime(lock) {} }
  let (plan, rsync, there) = try run.phase(
    .plan, "\(request.destination)", failsAs: .precondition
  ) {
    try ElsewherePlan.make(for: request, of: backup, record)
  }
  let transfer = ElsewhereTransfer(
    plan: plan, rsync: rsync, there: there, rateLimit: request.rateLimit, run: run)
  guard plan.state != .all else {
    try there.requireOther(plan.id, than: backup)
    let kept = try run.phase(.compare, plan.folder, failsAs: .copying) {
      try transfer.requireSame(backup, record)
    }
    try run.phase(.publish, plan.folder, failsAs: .copying) {
      try there.settle(plan.id, cancellation)
    }
    return ElsewhereResult(
      plan: plan, files: 0, bytes: 0, sent: 0, kept: kept,
      missing: try transfer.changedLinks(record), phases: run.phases)
  }
  let report = try run.phase(.transfer, plan.folder, failsAs: .copying) {
    try there.prepare(for: plan.id, plan.state, cancellation)
    return try transfer.copy(backup)
  }
  let missing = try run.phase(.publish, plan.folder, failsAs: .copying) {
    let missing = try transfer.changedLinks(record)
    try transfer.requireWhole(report, backup, record)
    try cancellation.checkpoint()
    return try missing + there.publish(plan.id, record: recordBytes, cancellation)
  }
  for name in (try? there.brokenCopies()) ?? [] {
    observer.noticed("\(there.folder)/\(name) is left there of a copy that broke off")
  }
  return ElsewhereResult(
    plan: plan, files: report.files, bytes: report.bytes, sent: report.sent, kept: 0,
    missing: missing, phases: run.phases)
}

/// What rsync does of it.
private struct ElsewhereTransfer {
  let plan: ElsewherePlan
  let rsync: Rsync
  let there: RepositoryElsewhere
  let rateLimit: UInt64?
  let run: Run

  /// Brings everything there that is not there.
  func copy(_ backup: BackupFolder) throws -> RsyncReport {
    run.observer.expects(bytes: plan.bytes)
    return try rsync.run(
      order(.backup(sharing: plan.sharedWith), leavingOut: there.files.renames ? [] : [record]),
      from: backup.folder, to: there.files.rsyncName(of: there.pathWhileCopied(plan.id)),
      run.cancellation
    ) { run.observer.advanced(bytes: $0) }
  }

  /// Whoever removes a backup here asks nobody: rsync takes for all of it what it still found.
  ///
  /// - Throws: `.copying` where less came through than there is, or the backup is gone here.
  func requireWhole(_ report: RsyncReport, _ backup: BackupFolder, _ mine: BackupRecord) throws {
    _ = try backup.recordBytes()
    _ = try backup.manifest(of: mine)
    guard report.size < mine.bytesOnDisk else { return }
    throw StillError(
      .copying,
      "of \(ByteCount.text(mine.bytesOnDisk)) in \(backup.path) only \(ByteCount.text(report.size)) "
        + "were found",
      hint:
        "Files are gone from it: verify it. What came to \(there.destination) was not published.")
  }

  /// - Returns: how many files and folders there are.
  /// - Throws: `.copying` where what is there under the backup's name is not what is here.
  func requireSame(_ backup: BackupFolder, _ mine: BackupRecord) throws -> UInt64 {
    // A proof is written into the record long after a copy was made, on either side.
    var (mine, its) = (mine, try there.record(of: plan.id))
    mine.proof = nil
    its?.proof = nil
    let report = try rsync.run(
      order(.difference, leavingOut: [record]), from: backup.folder,
      to: there.files.rsyncName(of: plan.folder), run.cancellation)
    guard its == mine, report.differing.isEmpty else {
      var failure = StillError(
        .copying,
        "\(plan.folder), on \(there.files.host), is not what is here: "
          + (report.differing.first.map { "\($0) differs" } ?? "its backup.json differs"),
        hint:
          "Verify both: pgstill verify \(plan.id). Then move the bad one away; this command copies "
          + "it anew.")
      failure.further = report.differing.dropFirst().prefix(10).map { "\($0) differs" }
      throw failure
    }
    return report.entries
  }

  /// A daemon may have changed links, so that nobody follows them out of its module.
  func changedLinks(_ mine: BackupRecord) throws -> [String] {
    let links = (mine.mirror?.parts ?? []).flatMap { part in
      part.links.map { link in
        (
          path: MirrorPart.folder(of: part.name).pushing(link.path.path), target: link.target.path
        )
      }
    }
    return try there.files.changedLinks(links, in: there.pathWhileCopied(plan.id)).map {
      "the link \($0) does not say there what it says here: \"munge symlinks\" or \"use chroot\" in the "
        + "daemon's rsyncd.conf"
    }
  }

  private var record: FilePath { BackupFolder.recordName }

  private func order(_ kind: RsyncOrder.Kind, leavingOut names: [FilePath]) -> RsyncOrder {
    RsyncOrder(
      kind, excluded: (names + [RecordFile.newName]).map { "/" + RsyncOrder.literal($0.string) },
      isLive: false, remoteShell: there.files.remoteShell, syncsEachFile: true,
      rateLimit: rateLimit)
  }
}
