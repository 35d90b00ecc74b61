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
