/// The records of a PAX extended header: `LENGTH KEY=VALUE\n`, the length counting the whole record,
/// itself included (POSIX.1-2017, pax, "pax Extended Header").
///
/// Values are bytes as they are. Names that are not UTF-8 stand there raw, as GNU tar writes and
/// reads them.
struct PaxRecords {
  private(set) var bytes: [UInt8] = []

  mutating func add(_ key: String, _ value: String) { add(key, named: [], Array(value.utf8)) }

  mutating func add(_ key: String, _ value: [UInt8]) { add(key, named: [], value) }

  /// The key is `prefix` and `name` together.
  mutating func add(_ prefix: String, named name: [UInt8], _ value: [UInt8]) {
    let fixed = prefix.utf8.count + name.count + value.count + 3
    var length = fixed + 1
    while fixed + String(length).utf8.count != length { length += 1 }
    bytes += "\(length) \(prefix)".utf8
    bytes += name
    bytes.append(UInt8(ascii: "="))
    bytes += value
    bytes.append(UInt8(ascii: "\n"))
  }

  /// Filled up to whole blocks.
  var padded: [UInt8] {
    bytes + [UInt8](repeating: 0, count: TarFormat.padding(UInt64(bytes.count)))
  }

  /// Reads records in their order; nil where they do not have the form above.
  static func parse(_ bytes: [UInt8]) -> [(key: [UInt8], value: [UInt8])]? {
    var records: [(key: [UInt8], value: [UInt8])] = []
    var rest = bytes[...]
    while let first = rest.first, first != 0 {
      guard let blank = rest.firstIndex(of: UInt8(ascii: " ")),
        let length = Int(String(decoding: rest[..<blank], as: UTF8.self)),
        length > blank - rest.startIndex + 2, length <= rest.count
      else { return nil }
      let record = rest[(blank + 1)..<(rest.startIndex + length)]
      guard record.last == UInt8(ascii: "\n"),
        let equals = record.firstIndex(of: UInt8(ascii: "="))
      else { return nil }
      records.append((Array(record[..<equals]), Array(record[(equals + 1)...].dropLast())))
      rest = rest[(rest.startIndex + length)...]
    }
    return records
  }
}
