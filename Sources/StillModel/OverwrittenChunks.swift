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

  /// Adds chunks by their numbers, in any order.
  public func adding(_ numbers: some Sequence<UInt64>) -> OverwrittenChunks {
    let more = OverwrittenChunks(chunkSize: chunkSize, numbers: numbers)
    guard !more.ranges.isEmpty else { return self }
    var merged: [Range<UInt64>] = []
    merged.reserveCapacity(ranges.count + more.ranges.count)
    var (left, right) = (0, 0)
    while left < ranges.count || right < more.ranges.count {
      let next: Range<UInt64>
      if right == more.ranges.count
        || left < ranges.count && ranges[left].lowerBound <= more.ranges[right].lowerBound
      {
        next = ranges[left]
        left += 1
      } else {
        next = more.ranges[right]
        right += 1
      }
      if let last = merged.last, next.lowerBound <= last.upperBound {
        merged[merged.count - 1] = last.lowerBound..<max(last.upperBound, next.upperBound)
      } else {
        merged.append(next)
      }
    }
    return OverwrittenChunks(chunkSize: chunkSize, ranges: merged)
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
