import StillModel
import StillSystem

/// Frames that each say how long they are, as we write them. From the first on that others have
/// written, the rest is read as a stream.
///
/// What a damaged frame says of itself cannot be relied on. So each is looked at together with what
/// follows: where that is no frame, the next one is searched for.
final class ChainedStretches: Stretches {
  let blockSize = CopyPipeline.standardBlockSize
  private let file: OpenFile
  private let packing: Packing
  private let size: UInt64
  private let chain: FrameChain
  private var offset: UInt64 = 0
  private var rest: StreamStretches?

  init(_ file: OpenFile, _ packing: Packing) throws {
    self.file = file
    self.packing = packing
    size = try file.metadata().size
    chain = try FrameChain(file, packing, largest: blockSize)
  }

  func next(_ block: Block) throws -> Bool {
    if let rest { return try rest.next(block) }
    guard offset < size else { return false }
    if var frame = try chain.frame(at: offset) {
      let end = frame.offset + UInt64(frame.compressed)
      // Others' archives may have frames of all sizes, but then nobody needs to know them.
      if end < size { frame.size = chain.usualSize }
      block.frame = frame
      offset = end
      return true
    }
    if try !chain.isForeign(at: offset), let next = try chain.search(from: offset + 1) {
      block.frame = Frame(offset: offset, compressed: Int(next - offset), size: chain.usualSize)
      offset = next
      return true
    }
    let stream = StreamStretches(try packing.source(file, from: offset))
    rest = stream
    return try stream.next(block)
  }

  func complete(_ block: Block, _ decompressor: (any BlockDecompressor)?) throws {
    guard block.frame.compressed > 0 else { return }
    guard block.frame.compressed <= FrameChain.largestCompressed(blockSize) else {
      throw DamagedStream(reason: "\(packing): \(block.frame.compressed) bytes are no frames")
    }
    try file.read(block.frame, into: block)
    try decompressor?.decompress(block)
  }
}

/// Finds frames that say how long they are.
struct FrameChain {
  private let file: OpenFile
  private let packing: Packing
  private let size: UInt64
  /// Bytes that a frame holds at most.
  private let largest: Int
  /// Bytes that all frames but the last hold.
  private(set) var usualSize: Int

  private static let headerSize = 32
  private static let searchChunk = 1 << 20

  init(_ file: OpenFile, _ packing: Packing, largest: Int) throws {
    self.file = file
    self.packing = packing
    size = try file.metadata().size
    self.largest = largest
    usualSize = largest
    if let size = try usual() { usualSize = size }
  }

  /// Bytes of a frame at most, compressed: what cannot be compressed becomes a little larger.
  static func largestCompressed(_ size: Int) -> Int { 2 * size }

  /// What two of the first three say, or the only ones there are; nil where there are none.
  private func usual() throws -> Int? {
    var sizes: [Int] = []
    var offset: UInt64 = 0
    while sizes.count < 3, let frame = try frame(at: offset) {
      offset += UInt64(frame.compressed)
      if offset < size, frame.size <= largest { sizes.append(frame.size) }
    }
    return sizes.first { size in sizes.count { $0 == size } > 1 } ?? sizes.max()
  }

  /// The frame of ours that begins here, if it ends where it says.
  func frame(at offset: UInt64) throws -> Frame? {
    let header = try bytes(at: offset, FrameChain.headerSize)
    guard let frame = try frame(at: offset, header),
      frame.compressed <= FrameChain.largestCompressed(largest)
    else { return nil }
    let end = offset + UInt64(frame.compressed)
    // What follows may be damaged, or what this one says of its length.
    return try end == size || (end < size && (isFrame(at: end) || isEnd(end, of: frame)))
      ? frame : nil
  }

  /// Whether a frame is seen to end here.
  private func isEnd(_ end: UInt64, of frame: Frame) throws -> Bool {
    switch packing {
    // The size of the content.
    case .gzip: frame.size == usualSize
    // A piece of no bytes, then the checksum.
    case .lz4: try bytes(at: end - 8, 4) == [0, 0, 0, 0]
    case .plain, .zstd: false
    }
  }

  /// Whether others have written what begins here. A gzip header of theirs differs from ours in
  /// more than one byte, one of lz4 has a checksum.
  func isForeign(at offset: UInt64) throws -> Bool {
    guard try isFrame(at: offset) else { return false }
    let found = try bytes(at: offset, FrameChain.headerSize)
    if packing == .lz4 {
      let isOurs = LZ4Frame.sizes(found).map { $0.content <= largest } ?? false
      return try !isOurs && LZ4Frame.isWhole(found)
    }
    return zip(GzipMember.beginning, found).count { $0 != $1 } > 1
  }

  /// Where the next frame of ours begins; nil where there is none.
  func search(from offset: UInt64) throws -> UInt64? {
    let own = packing == .gzip ? GzipMember.beginning : LZ4Frame.beginning
    var chunk = offset
    while chunk < size {
      let bytes = try bytes(at: chunk, FrameChain.searchChunk + own.count - 1)
      var place = bytes.startIndex
      while let found = bytes[place...].firstIndex(of: own[0]) {
        if bytes[found...].starts(with: own), try frame(at: chunk + UInt64(found)) != nil {
          return chunk + UInt64(found)
        }
        place = found + 1
      }
      chunk += UInt64(FrameChain.searchChunk)
    }
    return nil
  }

  /// Whether anybody's frame begins here.
  private func isFrame(at offset: UInt64) throws -> Bool {
    let found = try bytes(at: offset, 4)
    switch packing {
    case .gzip: return found.starts(with: GzipMember.beginning.prefix(3))
    case .lz4:
      let isSkippable = found.first.map { $0 & 0xF0 == 0x50 } ?? false
      return found == LZ4Frame.magic
        || (isSkippable && found.dropFirst().elementsEqual([0x2A, 0x4D, 0x18]))
    case .plain, .zstd: return false
    }
  }

  private func frame(at offset: UInt64, _ header: [UInt8]) throws -> Frame? {
    switch packing {
    case .lz4:
      return LZ4Frame.sizes(header).map {
        Frame(offset: offset, compressed: $0.compressed, size: $0.content)
      }
    case .gzip:
      guard let compressed = GzipMember.size(header) else { return nil }
      // Its last four bytes are the size of the content.
      let end = try bytes(at: offset + UInt64(compressed - 4), 4)
      let content = end.reversed().reduce(0) { $0 << 8 | Int($1) }
      return Frame(offset: offset, compressed: compressed, size: content)
    case .plain, .zstd: return nil
    }
  }

  private func bytes(at offset: UInt64, _ count: Int) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    let got = try bytes.withUnsafeMutableBytes { try file.readFully(into: $0, at: offset) }
    bytes.removeLast(count - got)
    return bytes
  }
}
