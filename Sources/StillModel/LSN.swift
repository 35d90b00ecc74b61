/// A position in the write-ahead log, in bytes since its beginning; written `16/B374D848`.
public struct LSN: Hashable, Sendable, Comparable, CustomStringConvertible {
  public var position: UInt64

  public init(_ position: UInt64) { self.position = position }

  /// Reads PostgreSQL's form `HIGH/LOW`, both hexadecimal; nil for anything else.
  public init?(_ text: some StringProtocol) {
    let halves = text.split(separator: "/", omittingEmptySubsequences: false)
    guard halves.count == 2, let high = UInt32(halves[0], radix: 16),
      let low = UInt32(halves[1], radix: 16)
    else { return nil }
    position = UInt64(high) << 32 | UInt64(low)
  }

  public var description: String {
    "\(String(position >> 32, radix: 16, uppercase: true))/"
      + String(position & 0xFFFF_FFFF, radix: 16, uppercase: true)
  }

  public static func < (left: LSN, right: LSN) -> Bool { left.position < right.position }
}

extension LSN: TextCodable {
  public static var nameOfText: String { "a WAL position" }
  public init?(codedText: String) { self.init(codedText) }
  public var codedText: String { description }
}
