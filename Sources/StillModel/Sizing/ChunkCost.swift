/// What a snapshot's store takes at a given size of its chunks.
public struct ChunkCost: Hashable, Sendable, Codable {
  /// In bytes.
  public var chunkSize: UInt64
  /// In bytes, with the table of the chunks and the header.
  public var bytes: UInt64

  public init(chunkSize: UInt64, chunks: UInt64) {
    self.chunkSize = chunkSize
    // An entry of 16 bytes for each, in areas of one chunk (drivers/md/dm-snap-persistent.c).
    let entries = max(1, chunkSize / 16)
    bytes = (1 + chunks + chunks / entries + 1) * chunkSize
  }
}

extension OverwrittenChunks {
  /// The sizes that `lvcreate --chunksize` takes, in bytes; the first one is LVM's own choice.
  public static let usualSizes: [UInt64] = [4, 8, 16, 32, 64, 128, 256, 512].map { $0 << 10 }

  /// How many chunks of another size hold these: a larger one was written where any of its parts was.
  ///
  /// - Returns: nil for a size that is no multiple of this one: nobody knows what was written of a part.
  public func count(inChunksOf size: UInt64) -> UInt64? {
    guard chunkSize > 0, size >= chunkSize, size % chunkSize == 0 else { return nil }
    let parts = size / chunkSize
    var (count, next): (UInt64, UInt64) = (0, 0)
    for range in ranges where !range.isEmpty {
      let first = max(range.lowerBound / parts, next)
      let end = (range.upperBound - 1) / parts + 1
      guard end > first else { continue }
      count += end - first
      next = end
    }
    return count
  }

  /// What the store would take at each of these sizes of chunks that can be told from this one.
  public func costs(inChunksOf sizes: [UInt64] = usualSizes) -> [ChunkCost] {
    sizes.compactMap { size in
      count(inChunksOf: size).map { ChunkCost(chunkSize: size, chunks: $0) }
    }
  }
}
