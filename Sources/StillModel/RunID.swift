/// The name of one run, and of the backup that it publishes: `20261121T020000Z-1a2b3c`.
///
/// The time is UTC, so names sort by age; the six hexadecimal digits keep two runs of the same
/// second apart. Only characters that LVM allows in names and tags occur.
public struct RunID: Hashable, Sendable, Comparable, CustomStringConvertible {
  public let description: String

  /// Makes the name of a run that begins at `moment`.
  public init(at moment: CalendarTime, salt: UInt32 = .random(in: 0..<0x100_0000)) {
    let digits = String(salt & 0xFF_FFFF, radix: 16)
    description = moment.compact + "-" + String(repeating: "0", count: 6 - digits.count) + digits
  }

  /// Reads a name; nil if it does not have the form above.
  public init?(_ text: some StringProtocol) {
    let bytes = Array(text.utf8)
    guard bytes.count == 23, bytes[8] == UInt8(ascii: "T"), bytes[15] == UInt8(ascii: "Z"),
      bytes[16] == UInt8(ascii: "-")
    else { return nil }
    for (index, byte) in bytes.enumerated() where ![8, 15, 16].contains(index) {
      let isDigit = (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
      let isHexLetter = (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
      guard isDigit || (index > 16 && isHexLetter) else { return nil }
    }
    description = String(text)
  }

  /// The moment that the name says, in UTC.
  public var began: CalendarTime {
    let digits = description.prefix(16).compactMap(\.wholeNumberValue)
    func number(_ range: Range<Int>) -> Int { digits[range].reduce(0) { $0 * 10 + $1 } }
    return CalendarTime(
      year: number(0..<4), month: number(4..<6), day: number(6..<8), hour: number(8..<10),
      minute: number(10..<12), second: number(12..<14))
  }

  public static func < (left: RunID, right: RunID) -> Bool { left.description < right.description }
}

extension RunID: TextCodable {
  public static var nameOfText: String { "a run id" }
  public init?(codedText: String) { self.init(codedText) }
  public var codedText: String { description }
}
