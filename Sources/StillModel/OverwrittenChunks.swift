/// Which parts of an origin were written to since its snapshot began.
public struct OverwrittenChunks: Hashable, Sendable {
  /// In bytes.
  public let chunkSize: UInt64
  /// Numbers of chunks, counted from the beginning of the origin; sorted, and apart from each other.
  public let ranges: [Range<UInt64>]

  /// - Parameter ranges: sorted and apart from each other.
  public init(chunkSize: UInt64, ranges: [Range<UInt64>]) {
    self.chunkSize = chunkSize
    self.ranges = ranges
  }

  /// - Parameter numbers: of chunks, in any order.
  public init(chunkSize: UInt64, numbers: some Sequence<UInt64>) {
    var ranges: [Range<UInt64>] = []
    for number in numbers.sorted() {
      if let last = ranges.last, number <= last.upperBound {
        ranges[ranges.count - 1] = last.lowerBound..<max(last.upperBound, number + 1)
      } else {
        ranges.append(number..<number + 1)
      }
    }
    self.init(chunkSize: chunkSize, ranges: ranges)
  }

  /// How many chunks there are.
  public var count: UInt64 { ranges.reduce(0) { $0 + UInt64($1.count) } }

  /// Whether anything was written within these bytes of the origin, or beside them in one of their
  /// chunks.
  public func touch(_ bytes: Range<UInt64>) -> Bool {
    guard !bytes.isEmpty else { return false }
    let first = bytes.lowerBound / chunkSize
    let last = (bytes.upperBound - 1) / chunkSize
    // The first range that ends behind the first chunk.
    var (low, high) = (0, ranges.count)
    while low < high {
      let middle = (low + high) / 2
      if ranges[middle].upperBound > first { high = middle } else { low = middle + 1 }
    }
    return low < ranges.count && ranges[low].lowerBound <= last
  }
}
