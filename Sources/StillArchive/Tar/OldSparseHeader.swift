import StillModel

/// Where GNU tar's older format keeps the map of a file with holes: the first parts in the header,
/// further ones in blocks behind it (GNU tar, src/tar.h, struct oldgnu_header and sparse_header).
enum OldSparseHeader {
  static let typeFlag = UInt8(ascii: "S")

  /// A part: offset and size.
  private static let numberSize = 12
  private static let partSize = 2 * numberSize
  private static let first = 386
  private static let partsInHeader = 4
  private static let isExtended = 482
  private static let realSize = 483..<495
  private static let partsInExtension = 21
  private static let isExtendedFurther = 504

  /// Reads the map; `nextBlock` has the blocks behind the header.
  static func map(
    _ header: TarHeaderFields, _ nextBlock: () throws -> [UInt8]
  ) throws -> SparseMap {
    var parts = try parts(header, at: first, partsInHeader)
    var goesOn = header.byte(isExtended) != 0
    while goesOn {
      let block = TarHeaderFields(unchecked: try nextBlock())
      parts += try self.parts(block, at: 0, partsInExtension)
      goesOn = block.byte(isExtendedFurther) != 0
    }
    return try SparseMap(size: header.number(realSize, "size"), read: parts)
  }

  private static func parts(
    _ block: TarHeaderFields, at start: Int, _ count: Int
  ) throws -> [(offset: UInt64, count: UInt64)] {
    try (0..<count).map { index in
      let place = start + index * partSize
      return (
        try block.number(place..<place + numberSize, "map"),
        try block.number(place + numberSize..<place + partSize, "map")
      )
    }
  }
}
