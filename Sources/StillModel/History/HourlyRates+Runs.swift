extension HourlyRates.Series {
  /// - Returns: nil where nothing was frozen, or nobody counted.
  public init?(_ record: BackupRecord) {
    guard let freeze = record.freeze else { return nil }
    self.init(freeze.at, record.fillHistory)
  }

  /// - Returns: nil where nobody looked.
  public init?(_ record: HistoryRecord) {
    if let overflow = record.overflow {
      self.init(overflow.began, overflow.samples)
    } else if let probe = record.probe {
      self.init(probe)
    } else {
      return nil
    }
  }

  public init(_ probe: ProbeReport) {
    self.init(
      began: probe.began ?? probe.plan.id.began,
      looks: probe.samples.map { .init(seconds: $0.seconds, written: $0.written) })
  }

  private init?(_ began: CalendarTime, _ samples: [BackupRecord.FillSample]) {
    var looks = samples.compactMap { sample in
      sample.written.map { HourlyRates.Look(seconds: sample.seconds, written: $0) }
    }
    guard let first = looks.first else { return nil }
    // They count from the freeze, and the first may come late.
    if first.seconds > 0 {
      looks.insert(.init(seconds: 0, written: first.written.map { $0.map { _ in 0 } }), at: 0)
    }
    self.init(began: began, looks: looks)
  }
}
