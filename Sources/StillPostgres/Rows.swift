import StillModel
import SystemPackage

/// The answer to a query: values in PostgreSQL's text form, byte for byte as the server sent them.
public struct Rows: Sendable, RandomAccessCollection {
  public let columns: [String]
  /// A row's values stand one after the other; nil for NULL.
  let values: [[UInt8]?]
  let rowCount: Int

  init(columns: [String], values: [[UInt8]?], count: Int) {
    self.columns = columns
    self.values = values
    self.rowCount = count
  }

  public var startIndex: Int { 0 }
  public var endIndex: Int { rowCount }
  public subscript(row: Int) -> Row { Row(rows: self, index: row) }

  /// The only row.
  ///
  /// - Throws: `.postgres` where there is none, or more than one.
  public func single() throws -> Row {
    guard count == 1 else {
      throw StillError(.postgres, "the server answered with \(count) rows instead of one")
    }
    return self[0]
  }
}

/// One row of an answer. Every reader throws `.postgres` where the column is missing or NULL, or its
/// value has another form.
public struct Row: Sendable {
  let rows: Rows
  let index: Int

  /// nil for NULL.
  public func bytes(_ column: String) throws -> [UInt8]? {
    guard let place = rows.columns.firstIndex(of: column) else {
      throw StillError(.postgres, "the server's answer has no column \(column)")
    }
    return rows.values[index * rows.columns.count + place]
  }

  /// nil for NULL.
  ///
  /// - Throws: also where the value is not UTF-8: a name that was repaired would be another name.
  public func optionalString(_ column: String) throws -> String? {
    guard let bytes = try bytes(column) else { return nil }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      let shown = String(decoding: bytes, as: UTF8.self)
      throw StillError(
        .postgres, "the server's value of \(column), \(shown), is not UTF-8",
        hint: "Names and paths of the cluster have to be UTF-8.")
    }
    return text
  }

  public func string(_ column: String) throws -> String {
    guard let text = try optionalString(column) else {
      throw StillError(.postgres, "the server answered NULL for \(column)")
    }
    return text
  }

  public func path(_ column: String) throws -> FilePath {
    guard let bytes = try bytes(column) else {
      throw StillError(.postgres, "the server answered NULL for \(column)")
    }
    return FilePath(bytes: bytes)
  }

  public func number<Number: FixedWidthInteger>(_ column: String, as: Number.Type = Number.self)
    throws -> Number
  {
    try parsed(column) { Number($0) }
  }

  public func flag(_ column: String) throws -> Bool {
    try parsed(column) { ["t": true, "on": true, "f": false, "off": false][$0] }
  }

  public func lsn(_ column: String) throws -> LSN { try parsed(column) { LSN($0) } }

  private func parsed<Value>(_ column: String, _ parse: (String) -> Value?) throws -> Value {
    let text = try string(column)
    guard let value = parse(text) else {
      throw StillError(.postgres, "the server's value of \(column) is unexpected: \(text)")
    }
    return value
  }
}
