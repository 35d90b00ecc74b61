extension HistoryRecord {
  /// What is in this record that no run leaves, in a few words; nil for one that may be right. Its seal says
  /// only that some pgstill has written it, and whoever reads it adds, divides and draws.
  public var absurdity: String? {
    switch (probe, overflow) {
    case (let probe?, nil): probe.plan.id == id ? probe.absurdity : "a probe of another name"
    case (nil, let overflow?): overflow.absurdity
    default: "neither a probe nor an overflow"
    }
  }

  /// Of looks at volumes.
  fileprivate static func absurdity(
    _ samples: [(seconds: Double, used: [UInt64], written: [UInt64?])], volumes: Int,
    _ extensions: [BackupRecord.Extension]
  ) -> String? {
    guard samples.allSatisfy({ $0.used.count == volumes }) else { return "looks at other volumes" }
    let sizes =
      samples.map { $0.used + $0.written.compactMap { $0 } } + extensions.map { [$0.from, $0.to] }
    guard sizes.allSatisfy(BackupRecord.canBe) else { return "looks at more than there can be" }
    let times = samples.map(\.seconds)
    guard (times + extensions.map(\.seconds)).allSatisfy(BackupRecord.canTake),
      zip(times, times.dropFirst()).allSatisfy({ $0 <= $1 })
    else { return "times that nothing takes" }
    return nil
  }
}

extension HistoryRecord.Overflow {
  fileprivate var absurdity: String? {
    guard sizes.count == origins.count, BackupRecord.canBe(sizes) else {
      return "snapshots of more than there can be"
    }
    return HistoryRecord.absurdity(
      samples.map { ($0.seconds, $0.used, $0.written ?? []) }, volumes: origins.count, extensions)
  }
}

extension ProbeReport {
  fileprivate var absurdity: String? {
    guard volumes.count == plan.volumes.count,
      samples.allSatisfy({ $0.written.count == plan.fileSystems.count })
    else { return "looks at other volumes" }
    let figures = volumes.map { volume in
      [
        volume.used, volume.written ?? 0, volume.recommended, volume.largest, volume.free,
        volume.filled ?? 0, volume.need.seen, volume.need.expected, volume.need.likely,
      ]
    }
    guard figures.allSatisfy(BackupRecord.canBe),
      BackupRecord.canBe(volumes.map(\.recommended)), BackupRecord.canBe(volumes.map(\.largest)),
      BackupRecord.canBe(plan.volumes.map(\.snapshotSize)),
      volumes.allSatisfy({ $0.chunkCosts.allSatisfy { BackupRecord.canBe([$0.bytes]) } })
    else { return "snapshots of more than there can be" }
    let times = [watched, plan.duration, plan.interval, plan.copyTime.seconds]
    guard times.allSatisfy(BackupRecord.canTake) else { return "times that nothing takes" }
    return HistoryRecord.absurdity(
      samples.map { ($0.seconds, $0.used, $0.written) }, volumes: volumes.count, extensions ?? [])
  }
}
