import StillModel
import StillSystem

extension SparseMap {
  /// A hole smaller than this is not worth a place in a map, and is kept as zeros.
  private static let smallestHole: UInt64 = 64 << 10
  /// So many parts at most, so that a map stays below 2 MiB: of a file that has more, the small
  /// holes are kept as zeros.
  private static let mostParts = 32 << 10

  /// The map of a file with holes; nil for all others, which nearly all are.
  ///
  /// A file counts as one when it takes notably less room than its size says, and its file system
  /// says where the holes are; compression, for one, takes less room too.
  static func of(_ file: OpenFile, _ metadata: FileMetadata) throws -> SparseMap? {
    let size = metadata.size
    guard size >= smallestHole, metadata.allocated <= size - smallestHole else { return nil }
    var smallest = smallestHole
    var parts: [Range<UInt64>] = []
    var offset: UInt64 = 0
    while offset < size, let next = try file.nextData(from: offset) {
      offset = next.upperBound
      let end = min(size, next.upperBound.roundedUp)
      guard next.lowerBound < end else { break }
      parts.append(part: next.lowerBound.roundedDown..<end, smallestHole: smallest)
      while parts.count > mostParts {
        smallest *= 2
        let all = parts
        parts.removeAll(keepingCapacity: true)
        for part in all { parts.append(part: part, smallestHole: smallest) }
      }
    }
    if let last = parts.last, size - last.upperBound < smallest {
      parts[parts.count - 1] = last.lowerBound..<size
    }
    return parts == [0..<size] ? nil : SparseMap(size: size, data: parts)
  }
}

extension [Range<UInt64>] {
  fileprivate mutating func append(part: Range<UInt64>, smallestHole: UInt64) {
    if let last, part.lowerBound < last.upperBound + smallestHole {
      self[count - 1] = last.lowerBound..<Swift.max(last.upperBound, part.upperBound)
    } else {
      append((part.lowerBound < smallestHole ? 0 : part.lowerBound)..<part.upperBound)
    }
  }
}

extension UInt64 {
  private static let block = UInt64(TarFormat.blockSize)
  fileprivate var roundedDown: UInt64 { self / UInt64.block * UInt64.block }
  fileprivate var roundedUp: UInt64 { (self + UInt64.block - 1) / UInt64.block * UInt64.block }
}
