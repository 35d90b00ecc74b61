import StillModel

/// A piece of a page. Text that is put into one is escaped, and only another piece goes in as it is: so nothing
/// that comes from outside (a name, a path, a message) can become markup.
public struct HTML: Hashable, Sendable, ExpressibleByStringInterpolation {
  public private(set) var source: String

  public struct StringInterpolation: StringInterpolationProtocol {
    fileprivate var source = ""

    public init(literalCapacity: Int, interpolationCount: Int) {
      source.reserveCapacity(literalCapacity + 16 * interpolationCount)
    }

    public mutating func appendLiteral(_ literal: String) { source += literal }
    public mutating func appendInterpolation(_ piece: HTML) { source += piece.source }
    public mutating func appendInterpolation(_ pieces: [HTML]) {
      for piece in pieces { source += piece.source }
    }
    public mutating func appendInterpolation(_ text: String) { source += HTML.escaped(text) }
    public mutating func appendInterpolation(_ number: Int) { source += String(number) }
    /// A length in a drawing.
    public mutating func appendInterpolation(_ number: Double) { source += HTML.length(number) }
  }

  public init(stringLiteral value: String) { source = value }
  public init(stringInterpolation: StringInterpolation) { source = stringInterpolation.source }

  public static func + (left: HTML, right: HTML) -> HTML { "\(left)\(right)" }
  public static func += (left: inout HTML, right: HTML) { left.source += right.source }

  public var isEmpty: Bool { source.isEmpty }

  /// Good for the content of elements and for attributes in double quotes. Control characters are not allowed in
  /// HTML (section 3.2.5.1 of its standard, "text"), and those that turn the direction of writing make a name look like another.
  public static func escaped(_ text: String) -> String {
    var escaped = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": escaped += "&amp;"
      case "<": escaped += "&lt;"
      case ">": escaped += "&gt;"
      case "\"": escaped += "&quot;"
      case "'": escaped += "&#39;"
      case "\n", "\t": escaped.unicodeScalars.append(scalar)
      case "\u{0}"..."\u{1F}", "\u{7F}"..."\u{9F}", "\u{202A}"..."\u{202E}",
        "\u{2066}"..."\u{2069}":
        escaped += "\u{FFFD}"
      default: escaped.unicodeScalars.append(scalar)
      }
    }
    return escaped
  }

  /// With one digit after the point; what is no length is none.
  private static func length(_ number: Double) -> String {
    guard number.isFinite else { return "0" }
    let text = Figures.rounded(min(max(number, -1e6), 1e6), 1)
    return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
  }
}

extension [HTML] {
  func joined(separator: HTML = "") -> HTML {
    var whole: HTML = ""
    for (index, piece) in enumerated() {
      if index > 0 { whole += separator }
      whole += piece
    }
    return whole
  }
}
