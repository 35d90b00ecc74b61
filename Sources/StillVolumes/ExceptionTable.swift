import StillModel
import StillSystem

/// The chunks of an origin that a classic snapshot has copied away, read from its own store.
///
/// The store (drivers/md/dm-snap-persistent.c): chunk 0 is its header. Then come areas of one chunk,
/// each followed by the chunks that its entries speak of. An entry is two little-endian numbers of 64
/// bits, where the chunk was in the origin and where it is in the store; the second is never 0, and
/// where it is, nothing follows. Entries are only added. The kernel lets a write to the origin through
/// when its entry is on the disk, so that whoever reads the table after a write finds it.
struct ExceptionTable {
  private static let magic: UInt32 = 0x7041_6e53
  private static let version: UInt32 = 1
  private static let entrySize: UInt64 = 16

  /// What was read of whole areas, which never change again.
  private var settled: [UInt64] = []
  private var areas: UInt64 = 0

  /// Reads what has been added since the last time; seconds for a large store on a disk that turns, where
  /// it was not read before.
  ///
  /// - Throws: `.volumes` where the store is no store, or holds what cannot be.
  mutating func read(from store: COWStore) throws -> OverwrittenChunks {
    let file = try store.openForReading()
    let chunk = UnsafeMutableRawBufferPointer.allocate(
      byteCount: Int(store.chunkSize), alignment: 4096)
    defer { chunk.deallocate() }
    func load(_ number: UInt64) throws {
      guard number < store.size / store.chunkSize,
        try file.readFully(into: chunk, at: number * store.chunkSize) == chunk.count
      else { throw damage(store, "it ends before its table does") }
    }
    try load(0)
    let header = (0..<4).map {
      chunk.loadUnaligned(fromByteOffset: $0 * 4, as: UInt32.self).littleEndian
    }
    guard header[0] == Self.magic, header[2] == Self.version,
      UInt64(header[3]) * 512 == store.chunkSize
    else { throw damage(store, "its header is none") }
    guard header[1] == 1 else { throw damage(store, "it is no longer valid") }

    let entries = store.chunkSize / Self.entrySize
    var pending: [UInt64] = []
    while true {
      try load(1 + areas * (entries + 1))
      pending = []
      for index in 0..<Int(entries) {
        let offset = index * Int(Self.entrySize)
        let old = chunk.loadUnaligned(fromByteOffset: offset, as: UInt64.self).littleEndian
        let new = chunk.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self).littleEndian
        if new == 0 { break }
        pending.append(old)
      }
      guard pending.count == Int(entries) else { break }
      settled += pending
      areas += 1
    }
    return OverwrittenChunks(chunkSize: store.chunkSize, numbers: settled + pending)
  }

  private func damage(_ store: COWStore, _ what: String) -> StillError {
    StillError(.volumes, "the store \(store.path) cannot be read: \(what)")
  }
}
