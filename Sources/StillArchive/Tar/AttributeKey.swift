/// The name of an extended attribute within the key of a PAX record, which ends at the first `=`:
/// that, and the `%` which it is written with, stand there as `%3D` and `%25`, as GNU tar does it
/// (src/xheader.c, `xattr_encode_keyword`).
enum AttributeKey {
  private static let escapes: [(byte: UInt8, text: [UInt8])] = [
    (UInt8(ascii: "%"), Array("%25".utf8)), (UInt8(ascii: "="), Array("%3D".utf8)),
  ]

  static func encoded(_ name: [UInt8]) -> [UInt8] {
    name.flatMap { byte in escapes.first { $0.byte == byte }?.text ?? [byte] }
  }

  static func decoded(_ key: ArraySlice<UInt8>) -> [UInt8] {
    var name: [UInt8] = []
    var rest = key
    while let byte = rest.first {
      let escape = escapes.first { rest.starts(with: $0.text) }
      name.append(escape?.byte ?? byte)
      rest = rest.dropFirst(escape?.text.count ?? 1)
    }
    return name
  }
}
