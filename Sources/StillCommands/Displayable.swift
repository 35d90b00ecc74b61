import FoundationEssentials

/// A result: one value, shown as text or as JSON.
protocol Displayable: Encodable {
  /// For people; ends with a newline unless it is empty.
  var text: String { get }
}

extension Encodable {
  /// Keys sorted, so that two runs can be compared line by line.
  func jsonDocument() throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(self), as: UTF8.self)
  }
}

/// Columns that line up, the last one as long as it likes.
struct TextTable {
  private var rows: [[String]]

  init(_ heading: [String] = []) { rows = heading.isEmpty ? [] : [heading] }

  mutating func add(_ row: [String]) { rows.append(row) }

  var text: String {
    let columns = rows.map(\.count).max() ?? 0
    let widths = (0..<columns).map { column in
      rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
    }
    return rows.map { row in
      var line = row.enumerated().map { column, cell in
        column == row.count - 1
          ? cell : cell + String(repeating: " ", count: widths[column] - cell.count)
      }.joined(separator: "  ")
      while line.hasSuffix(" ") { line.removeLast() }
      return line + "\n"
    }.joined()
  }
}

/// Numbers for people.
enum Figures {
  /// `12.3 ms`
  static func milliseconds(_ value: Double) -> String { "\(rounded(value, 1)) ms" }

  /// `4.2 s`, `3 min 07 s`
  static func duration(_ seconds: Double) -> String {
    guard seconds >= 60 else { return "\(rounded(seconds, 1)) s" }
    let whole = Int(seconds.rounded())
    let rest = whole % 60
    return whole >= 3600
      ? "\(whole / 3600) h \(pad(whole / 60 % 60)) min" : "\(whole / 60) min \(pad(rest)) s"
  }

  /// `12.3 %` of a share between 0 and 1.
  static func percent(_ share: Double) -> String { "\(rounded(share * 100, 1)) %" }

  static func rounded(_ value: Double, _ digits: Int) -> String {
    var scale = 1.0
    for _ in 0..<digits { scale *= 10 }
    let scaled = Int((abs(value) * scale).rounded())
    let sign = value < 0 && scaled > 0 ? "-" : ""
    guard digits > 0 else { return sign + String(scaled) }
    let fraction = String(scaled % Int(scale))
    return sign + String(scaled / Int(scale)) + "."
      + String(repeating: "0", count: digits - fraction.count) + fraction
  }

  private static func pad(_ number: Int) -> String { number < 10 ? "0\(number)" : String(number) }
}
