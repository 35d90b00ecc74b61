/// How full a snapshot is, and where that leads.
public struct FillTrend: Hashable, Sendable, Codable {
  public var fill: SnapshotFill
  /// Bytes a second, of late.
  public var rate: Double

  public init(fill: SnapshotFill, rate: Double) {
    self.fill = fill
    self.rate = rate
  }

  /// When it is full at this rate; nil where it does not grow.
  public var secondsToFull: Double? {
    rate > 0 ? Double(fill.size - min(fill.used, fill.size)) / rate : nil
  }
}

extension FillTrend {
  /// `72.0 % full, filling at 4.0 MiB/s, full in 40 s`
  public var sentence: String {
    var text = "\(Figures.percent(fill.share)) full"
    guard let secondsToFull else { return text }
    text += ", filling at \(ByteCount.text(UInt64(rate)))/s"
    // Nobody plans for what is years away.
    if secondsToFull < 100 * 3600 { text += ", full in \(Figures.duration(secondsToFull))" }
    return text
  }
}

/// Looks at the same snapshots, one after the other.
public struct FillSeries: Hashable, Sendable {
  public private(set) var samples: [BackupRecord.FillSample] = []

  /// A rate is that of about so many seconds: long enough for the bursts of a checkpoint, short
  /// enough to see a load that begins.
  private static let window = 10.0

  public init() {}

  /// Adds what was seen so many seconds after the freeze.
  ///
  /// - Parameters:
  ///   - written: to each origin since the freeze, in bytes; nil where nobody counts.
  ///   - copied: of the content, in bytes; nil where nothing is copied.
  public mutating func add(
    _ fills: [SnapshotFill], at seconds: Double, written: [UInt64?]? = nil, copied: UInt64? = nil
  ) {
    samples.append(
      .init(seconds: seconds, used: fills.map(\.used), written: written, copied: copied))
  }

  /// Bytes a second of the snapshot with this index, of late; 0 for a single look.
  public func rate(of index: Int) -> Double {
    guard let last = samples.last, index < last.used.count else { return 0 }
    let first =
      samples.last { $0.seconds <= last.seconds - Self.window } ?? samples.first ?? last
    let seconds = last.seconds - first.seconds
    guard seconds > 0, last.used[index] > first.used[index] else { return 0 }
    return Double(last.used[index] - first.used[index]) / seconds
  }
}
