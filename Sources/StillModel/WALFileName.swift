/// What a name in `pg_wal` stands for (src/include/access/xlog_internal.h).
public enum WALFileName: Hashable, Sendable {
  case segment(WALSegmentName)
  /// The last segment of a timeline that was left by a promotion: `SEGMENT.partial`. Recovery does
  /// not read it.
  case partial(WALSegmentName)
  /// Where a timeline branched off: `00000002.history`.
  case history(timeline: UInt32)
  /// A note on an earlier backup: `SEGMENT.OFFSET.backup`.
  case backupHistory(WALSegmentName)
  /// Anything else, temporary files of the server included.
  case other

  public init(_ name: some StringProtocol, segmentSize: UInt32) {
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    let ending = parts.dropFirst().last.map { String($0) }
    self = .other
    if let segment = WALSegmentName(parts[0], size: segmentSize) {
      switch (parts.count, ending) {
      case (1, _): self = .segment(segment)
      case (2, "partial"): self = .partial(segment)
      case (3, "backup") where Self.hexadecimal(parts[1]) != nil: self = .backupHistory(segment)
      default: break
      }
    } else if parts.count == 2, ending == "history",
      let timeline = Self.hexadecimal(parts[0]), timeline > 0
    {
      self = .history(timeline: timeline)
    }
  }

  /// The name of a timeline's history file; timeline 1 has none.
  public static func historyName(_ timeline: UInt32) -> String {
    WALSegmentName.digits(timeline) + ".history"
  }

  private static func hexadecimal(_ text: some StringProtocol) -> UInt32? {
    let digits = Array(text.utf8)
    return digits.count == 8 ? WALSegmentName.number(digits[...]) : nil
  }
}
