import SystemPackage

/// A path in a record. Names need not be UTF-8: those that are not stand there as `hex:` and their
/// bytes.
public struct RecordedPath: Hashable, Sendable, Codable {
  public var path: FilePath

  private static let mark = "hex:"

  public init(_ path: FilePath) { self.path = path }

  public init(from decoder: any Decoder) throws {
    let text = try decoder.singleValueContainer().decode(String.self)
    guard text.hasPrefix(RecordedPath.mark) else {
      path = FilePath(bytes: text.utf8)
      return
    }
    let digits = Array(text.utf8.dropFirst(RecordedPath.mark.utf8.count))
    let bytes = stride(from: 0, to: digits.count, by: 2).compactMap {
      UInt8(String(decoding: digits[$0..<min($0 + 2, digits.count)], as: UTF8.self), radix: 16)
    }
    guard bytes.count * 2 == digits.count, !bytes.contains(0) else {
      throw DecodingError.dataCorrupted(
        .init(codingPath: decoder.codingPath, debugDescription: "no path: \(text)"))
    }
    path = FilePath(bytes: bytes)
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(text)
  }

  private var text: String {
    let bytes = path.bytes
    if let text = String(validating: bytes, as: UTF8.self), !text.hasPrefix(RecordedPath.mark) {
      return text
    }
    return RecordedPath.mark
      + bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}
