/// A value that stands in JSON as the text that it is written as everywhere else.
public protocol TextCodable: Codable {
  /// What such a text is, for messages: `a WAL position`.
  static var nameOfText: String { get }
  /// Reads what `codedText` writes; nil for anything else.
  init?(codedText: String)
  var codedText: String { get }
}

extension TextCodable {
  public init(from decoder: any Decoder) throws {
    let text = try decoder.singleValueContainer().decode(String.self)
    guard let value = Self(codedText: text) else {
      throw DecodingError.dataCorrupted(
        .init(
          codingPath: decoder.codingPath, debugDescription: "not \(Self.nameOfText): \(text)"))
    }
    self = value
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(codedText)
  }
}
