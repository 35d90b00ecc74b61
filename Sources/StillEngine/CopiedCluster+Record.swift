import StillArchive
import StillModel
import StillPostgres
import StillSystem

extension CopiedCluster {
  /// The backup's record: everything that is known when it is about to be published.
  func record(
    of plan: BackupPlan, _ cluster: LiveCluster, _ source: ClusterSource, began: CalendarTime,
    phases: [BackupRecord.Phase]
  ) -> BackupRecord {
    let facts = cluster.facts
    return BackupRecord(
      id: plan.id, cluster: plan.cluster, pgstillVersion: StillVersion.text, began: began,
      ended: Clock.now(), consistency: plan.consistency, reason: plan.reason,
      server: .init(
        version: facts.versionNumber, systemIdentifier: facts.systemIdentifier,
        timeline: timeline, dataDirectory: facts.dataDirectory,
        isStandby: facts.isStandby, hasDataChecksums: facts.hasDataChecksums,
        walSegmentSize: UInt64(facts.walSegmentSize)),
      tablespaces: plan.layout.tablespaces.map { .init(oid: $0.oid, target: $0.target) },
      walLink: plan.layout.walIsLinked ? plan.layout.wal.path : nil,
      freeze: source.frozen.map { freeze(plan, $0.report) },
      online: online, wal: wal,
      compression: plan.compression,
      archives: archives.map {
        .init(
          name: $0.fileName, files: Int($0.files), members: Int($0.members),
          bytesRead: $0.bytesRead, bytesWritten: $0.bytesWritten, checksum: $0.checksum.labelled)
      },
      manifestSHA256: manifestSHA256, configuration: plan.configuration, missing: missing,
      badPages: badPages, phases: phases,
      fillHistory: BackupRecord.FillSample.thinned(
        source.frozen?.watch.history ?? [], to: BackupRecord.mostLooks),
      extensions: source.frozen?.watch.extensions ?? [], downtime: source.server?.downtime,
      mirror: mirror)
  }

  private func freeze(_ plan: BackupPlan, _ report: FreezeReport) -> BackupRecord.Freeze {
    let volumes = zip(zip(plan.volumes, report.volumes), fills).map { pair, fill in
      BackupRecord.Volume(
        origin: pair.1.origin, snapshot: pair.1.snapshot, fileSystem: pair.0.fileSystem.kind,
        suspend: pair.1.suspend, take: pair.1.take, resume: pair.1.resume, fill: fill,
        sizeReason: pair.0.sizeReason)
    }
    return .init(
      at: report.at, beganMicroseconds: report.beganMicroseconds,
      windowMilliseconds: report.window, skewMilliseconds: report.skew, volumes: volumes)
  }
}

extension BackupRecord.WAL {
  /// What a survey of a `pg_wal` that stands still came to.
  init(_ wal: FrozenWAL, checkpoint: LSN, before lsn: LSN?) {
    // Files that look like segments and hold nothing that recovery needs.
    let recycled = wal.leftOut.count { file in
      switch file.reason {
      case .recycled, .preallocated, .beforeRedo, .otherTimeline, .afterEnd: true
      default: false
      }
    }
    self.init(
      lsnBeforeFreeze: lsn, redo: wal.redo, checkpoint: checkpoint,
      segmentsKept: wal.segments.map(\.description), segmentsLeftOut: recycled)
  }
}
