/// One WAL segment: a file of `pg_wal` whose name is 24 hexadecimal digits, the timeline and the
/// number of the segment in two halves (`XLogFileName` of src/include/access/xlog_internal.h).
public struct WALSegmentName: Hashable, Sendable, Comparable, CustomStringConvertible {
  public var timeline: UInt32
  /// Counted from the beginning of the log: the segment holds the bytes from `number` times `size`.
  public var number: UInt64
  /// In bytes; the name means nothing without it.
  public var size: UInt32

  public init(timeline: UInt32, number: UInt64, size: UInt32) {
    self.timeline = timeline
    self.number = number
    self.size = size
  }

  /// The segment that holds the byte at `position`.
  public init(timeline: UInt32, holding position: LSN, size: UInt32) {
    self.init(timeline: timeline, number: position.position / UInt64(size), size: size)
  }

  /// Reads `000000010000000A000000FE`; nil for anything else, and for the very last segment, whose end
  /// is no position any more.
  public init?(_ text: some StringProtocol, size: UInt32) {
    let digits = Array(text.utf8)
    guard digits.count == 24, WALSegmentName.isValidSize(size),
      let timeline = WALSegmentName.number(digits[0..<8]), timeline > 0,
      let high = WALSegmentName.number(digits[8..<16]),
      let low = WALSegmentName.number(digits[16..<24])
    else { return nil }
    let perHigh = WALSegmentName.segmentsPerHalf(size)
    let number = UInt64(high) * perHigh + UInt64(low)
    guard UInt64(low) < perHigh, number < UInt64.max / UInt64(size) else { return nil }
    self.init(timeline: timeline, number: number, size: size)
  }

  public var description: String {
    let perHigh = WALSegmentName.segmentsPerHalf(size)
    return WALSegmentName.digits(timeline)
      + WALSegmentName.digits(UInt32(truncatingIfNeeded: number / perHigh))
      + WALSegmentName.digits(UInt32(truncatingIfNeeded: number % perHigh))
  }

  /// Where the segment begins, and where the next one does.
  public var start: LSN { LSN(number * UInt64(size)) }
  public var end: LSN { LSN((number + 1) * UInt64(size)) }

  public var next: WALSegmentName {
    WALSegmentName(timeline: timeline, number: number + 1, size: size)
  }

  public static func < (left: WALSegmentName, right: WALSegmentName) -> Bool {
    (left.timeline, left.number) < (right.timeline, right.number)
  }

  /// A power of two from 1 MiB to 1 GiB (`IsValidWalSegSize`).
  public static func isValidSize(_ size: UInt32) -> Bool {
    size.nonzeroBitCount == 1 && size >= 1 << 20 && size <= 1 << 30
  }

  private static func segmentsPerHalf(_ size: UInt32) -> UInt64 { (1 << 32) / UInt64(size) }

  /// Eight hexadecimal digits, capital letters as PostgreSQL writes them.
  static func digits(_ number: UInt32) -> String {
    let text = String(number, radix: 16, uppercase: true)
    return String(repeating: "0", count: 8 - text.utf8.count) + text
  }

  /// The number of hexadecimal digits; small letters are not PostgreSQL's.
  static func number(_ digits: ArraySlice<UInt8>) -> UInt32? {
    var number: UInt32 = 0
    for digit in digits {
      switch digit {
      case UInt8(ascii: "0")...UInt8(ascii: "9"):
        number = number << 4 | UInt32(digit - UInt8(ascii: "0"))
      case UInt8(ascii: "A")...UInt8(ascii: "F"):
        number = number << 4 | UInt32(digit - UInt8(ascii: "A") + 10)
      default: return nil
      }
    }
    return number
  }
}
