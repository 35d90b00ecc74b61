/// Where the fields of a tar header stand (POSIX.1-2017, pax, "ustar Interchange Format").
enum TarFormat {
  static let blockSize = 512

  static let name = 0..<100
  static let mode = 100..<108
  static let owner = 108..<116
  static let group = 116..<124
  static let size = 124..<136
  static let modified = 136..<148
  static let checksum = 148..<156
  static let typeFlag = 156
  static let linkName = 157..<257
  static let magic = 257..<265
  static let ownerName = 265..<297
  static let groupName = 297..<329
  static let deviceMajor = 329..<337
  static let deviceMinor = 337..<345
  static let prefix = 345..<500

  /// Bytes that fill up content of `size` bytes to whole blocks.
  static func padding(_ size: UInt64) -> Int {
    let rest = Int(size % UInt64(blockSize))
    return rest == 0 ? 0 : blockSize - rest
  }

  /// The sum of a header's bytes, its checksum field counted as blanks.
  static func sum(_ header: [UInt8]) -> UInt32 {
    var sum = UInt32(checksum.count) * UInt32(UInt8(ascii: " "))
    for byte in header { sum += UInt32(byte) }
    for byte in header[checksum] { sum -= UInt32(byte) }
    return sum
  }
}
