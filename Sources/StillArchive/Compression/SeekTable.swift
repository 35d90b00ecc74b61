import StillModel
import StillSystem

/// The index of zstd's seekable format: a skippable frame at the end, which an ordinary zstd passes
/// over (contrib/seekable_format/zstd_seekable_compression_format.md in zstd's repository).
enum SeekTable {
  static let skippableMagic: UInt32 = 0x184D_2A5E
  static let magic: UInt32 = 0x8F92_EAB1
  /// Magic number and size of the skippable frame.
  static let headerSize = 8
  /// Compressed size, size.
  static let entrySize = 8
  /// Number of frames, a byte of flags, the magic number.
  static let footerSize = 9
  /// A petabyte in blocks of 2 MiB.
  static let mostFrames = 1 << 29

  /// The frames of a file, or nil where it has no index, or none that fits it: a frame must not be
  /// larger than `largest` bytes.
  static func read(_ file: OpenFile, largest: Int) throws -> [Frame]? {
    let size = try file.metadata().size
    guard size >= UInt64(headerSize + footerSize) else { return nil }
    let footer = try bytes(file, at: size - UInt64(footerSize), footerSize)
    let count = Int(number(footer, 0))
    // A flag says that there are checksums too; pgstill writes none, for frames have their own.
    guard number(footer, 5) == magic, footer[4] == 0, count <= mostFrames else { return nil }
    let length = headerSize + count * entrySize + footerSize
    guard size >= UInt64(length) else { return nil }
    let table = try bytes(file, at: size - UInt64(length), length)
    guard number(table, 0) == skippableMagic,
      number(table, 4) == UInt32(length - headerSize)
    else { return nil }
    var frames: [Frame] = []
    frames.reserveCapacity(count)
    var offset: UInt64 = 0
    for index in 0..<count {
      let entry = headerSize + index * entrySize
      let frame = Frame(
        offset: offset, compressed: Int(number(table, entry)), size: Int(number(table, entry + 4)))
      guard frame.size <= largest, frame.compressed <= 2 * largest else { return nil }
      frames.append(frame)
      offset += UInt64(frame.compressed)
    }
    return offset + UInt64(length) == size ? frames : nil
  }

  private static func bytes(_ file: OpenFile, at offset: UInt64, _ count: Int) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    _ = try bytes.withUnsafeMutableBytes { try file.readFully(into: $0, at: offset) }
    return bytes
  }

  private static func number(_ bytes: [UInt8], _ offset: Int) -> UInt32 {
    bytes.withUnsafeBytes {
      UInt32(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }
  }
}

/// Collects the frames of an archive while it is written.
final class SeekTableWriter: FrameIndexWriter {
  private var sizes: [UInt32] = []

  func add(compressed: Int, content: Int) {
    sizes.append(UInt32(compressed))
    sizes.append(UInt32(content))
  }

  func finish() -> [UInt8] {
    guard !sizes.isEmpty else { return [] }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(4 * sizes.count + SeekTable.headerSize + SeekTable.footerSize)
    func put(_ number: UInt32) {
      withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) }
    }
    put(SeekTable.skippableMagic)
    put(UInt32(4 * sizes.count + SeekTable.footerSize))
    for size in sizes { put(size) }
    put(UInt32(sizes.count / 2))
    bytes.append(0)
    put(SeekTable.magic)
    return bytes
  }
}
