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
  /// How far a read has come.
  enum State {
    case complete(OverwrittenChunks)
    /// There is more than can be read at once.
    case reading
    /// A list so long is of no use to anybody.
    case tooLong
  }

  private static let magic: UInt32 = 0x7041_6e53
  private static let version: UInt32 = 1
  private static let entrySize: UInt64 = 16
  /// 64 MB of them.
  private static let mostRanges = 4 << 20

  /// What was read of whole areas, which never change again.
  private var settled: OverwrittenChunks?
  private var areas: UInt64 = 0

  /// Reads what has been added since the last time. On a disk that turns, a store of 10 GiB takes more than
  /// a minute, where it was not read before.
  ///
  /// - Parameter seconds: after which it breaks off, to be called again.
  /// - Throws: `.overflow` where the store is no longer valid; `.volumes` where it is no store.
  mutating func read(from store: COWStore, within seconds: Double) throws -> State {
    let watch = Stopwatch()
    let file = try store.openForReading()
    let chunk = UnsafeMutableRawBufferPointer.allocate(
      byteCount: Int(store.chunkSize), alignment: 4096)
    defer { chunk.deallocate() }
    func load(_ number: UInt64) throws {
      guard number < store.size / store.chunkSize,
        try file.readFully(into: chunk, at: number * store.chunkSize) == chunk.count
      else { throw Self.damage(store, "it ends before its table does") }
    }
    try load(0)
    let header = (0..<4).map {
      UInt32(littleEndian: chunk.loadUnaligned(fromByteOffset: $0 * 4, as: UInt32.self))
    }
    guard header[0] == Self.magic, header[2] == Self.version,
      UInt64(header[3]) * 512 == store.chunkSize
    else { throw Self.damage(store, "its header is none") }
    guard header[1] == 1 else {
      throw StillError(.overflow, "the store \(store.path) is no longer valid")
    }

    let entries = store.chunkSize / Self.entrySize
    var whole: [UInt64] = []
    var last: [UInt64] = []
    var isComplete = false
    while !isComplete, watch.seconds < seconds {
      try load(1 + areas * (entries + 1))
      last = Self.origins(in: UnsafeRawBufferPointer(chunk))
      isComplete = last.count < Int(entries)
      if !isComplete {
        whole += last
        areas += 1
      }
    }
    let settled =
      (self.settled ?? OverwrittenChunks(chunkSize: store.chunkSize, ranges: [])).adding(whole)
    self.settled = settled
    if settled.ranges.count > Self.mostRanges { return .tooLong }
    return isComplete ? .complete(settled.adding(last)) : .reading
  }

  /// Where the chunks of one area were, up to the first entry that is none.
  private static func origins(in area: UnsafeRawBufferPointer) -> [UInt64] {
    var origins: [UInt64] = []
    for offset in stride(from: 0, to: area.count, by: Int(entrySize)) {
      if area.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self) == 0 { break }
      origins.append(
        UInt64(littleEndian: area.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
    }
    return origins
  }

  private static func damage(_ store: COWStore, _ what: String) -> StillError {
    StillError(.volumes, "the store \(store.path) cannot be read: \(what)")
  }
}
