/// What a run leaves that publishes no backup, and whose looks at the snapshots are worth keeping: a probe,
/// or a backup whose snapshot overflowed.
public struct HistoryRecord: Hashable, Sendable, Codable {
  /// Of this file's form; a reader refuses a higher one.
  public static let currentFormat = 1

  /// A backup that was given up, for one of its snapshots ran full.
  public struct Overflow: Hashable, Sendable, Codable {
    /// When the volumes were frozen.
    public var began: CalendarTime
    /// As it was told: when, at which size, how far the copy was.
    public var message: String
    public var origins: [VolumeName]
    /// Of each origin's COW store at the freeze, in bytes; 0 for a thin snapshot.
    public var sizes: [UInt64]
    /// Those that ran full.
    public var overflowed: [VolumeName]
    public var samples: [BackupRecord.FillSample]
    public var extensions: [BackupRecord.Extension]

    public init(
      began: CalendarTime, message: String, origins: [VolumeName], sizes: [UInt64],
      overflowed: [VolumeName], samples: [BackupRecord.FillSample],
      extensions: [BackupRecord.Extension]
    ) {
      self.began = began
      self.message = message
      self.origins = origins
      self.sizes = sizes
      self.overflowed = overflowed
      self.samples = samples
      self.extensions = extensions
    }
  }

  public var format: Int
  /// Of the run.
  public var id: RunID
  public var cluster: String
  public var pgstillVersion: String
  public var systemIdentifier: UInt64
  /// One of the two.
  public var probe: ProbeReport?
  public var overflow: Overflow?

  private init(
    id: RunID, cluster: String, systemIdentifier: UInt64, probe: ProbeReport?, overflow: Overflow?
  ) {
    format = HistoryRecord.currentFormat
    pgstillVersion = StillVersion.text
    self.id = id
    self.cluster = cluster
    self.systemIdentifier = systemIdentifier
    self.probe = probe
    self.overflow = overflow
  }

  /// So many looks draw any curve, and say of any hour what was written in it.
  public static let mostLooks = 400

  public init(probe: ProbeReport, cluster: String, systemIdentifier: UInt64) {
    var thinned = probe
    thinned.samples = ProbeSample.thinned(probe.samples, to: HistoryRecord.mostLooks)
    self.init(
      id: probe.plan.id, cluster: cluster, systemIdentifier: systemIdentifier, probe: thinned,
      overflow: nil)
  }

  public init(overflow: Overflow, of id: RunID, cluster: String, systemIdentifier: UInt64) {
    var thinned = overflow
    thinned.samples = BackupRecord.FillSample.thinned(overflow.samples, to: HistoryRecord.mostLooks)
    self.init(
      id: id, cluster: cluster, systemIdentifier: systemIdentifier, probe: nil, overflow: thinned)
  }
}

extension HistoryRecord.Overflow {
  /// The size that an origin's store had when it ran full, in bytes; nil where it did not.
  public func size(of origin: VolumeName) -> UInt64? {
    guard overflowed.contains(origin), let index = origins.firstIndex(of: origin),
      index < sizes.count, sizes[index] > 0
    else { return nil }
    return extensions.last { $0.origin == origin }?.to ?? sizes[index]
  }
}
