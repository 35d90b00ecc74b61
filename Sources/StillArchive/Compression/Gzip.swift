import CDeflate
import CZlib
import StillModel

/// Each block becomes a gzip member (RFC 1952) that says in a field of its header how long it is, so
/// that the next one can be found without decompressing it.
///
/// gzip, tar and zlib's own functions read all members; `pg_verifybackup --format=tar` of PostgreSQL
/// 18 does not come to an end when there is more than one, so for that program an archive has to be
/// compressed with zstd or not at all.
final class GzipCompressor: BlockCompressor {
  private let compressor: OpaquePointer

  init(level: Int) throws {
    guard let compressor = libdeflate_alloc_compressor(Int32(level)) else {
      throw StillError(.failed, "no memory for compressing with gzip")
    }
    self.compressor = compressor
  }

  deinit { libdeflate_free_compressor(compressor) }

  func compress(_ block: Block) throws {
    let bound = libdeflate_deflate_compress_bound(compressor, block.inputCount)
    block.reserveOutput(GzipMember.headerSize + bound + GzipMember.trailerSize)
    let body = UnsafeMutableRawBufferPointer(
      rebasing: block.output[GzipMember.headerSize..<GzipMember.headerSize + bound])
    let count = libdeflate_deflate_compress(
      compressor, block.input.baseAddress, block.inputCount, body.baseAddress, body.count)
    // Zero says that the output had no room, which the bound rules out.
    guard count > 0 else { throw StillError(.failed, "gzip cannot compress a block") }
    let size = GzipMember.headerSize + count + GzipMember.trailerSize
    block.output.copyBytes(from: GzipMember.header(size: size))
    let trailer = GzipMember.headerSize + count
    let sum = libdeflate_crc32(0, block.input.baseAddress, block.inputCount)
    block.output.storeBytes(of: sum.littleEndian, toByteOffset: trailer, as: UInt32.self)
    block.output.storeBytes(
      of: UInt32(block.inputCount).littleEndian, toByteOffset: trailer + 4, as: UInt32.self)
    block.outputCount = size
  }
}

/// A member as `GzipCompressor` writes it.
enum GzipMember {
  /// The fixed part, the length of the extra field, and in that: two letters, a length, a number.
  static let headerSize = 10 + 2 + 8
  /// CRC-32 and size of the content.
  static let trailerSize = 8

  static let beginning: [UInt8] = [
    0x1F, 0x8B, 8, 0x04,  // deflate, with an extra field
    0, 0, 0, 0, 0, 0xFF,  // no time, unknown system
    8, 0, UInt8(ascii: "P"), UInt8(ascii: "S"), 4, 0,
  ]

  static func header(size: Int) -> [UInt8] {
    beginning + withUnsafeBytes(of: UInt32(size).littleEndian) { Array($0) }
  }

  /// The size of the member that begins so; nil for others than ours.
  static func size(_ header: [UInt8]) -> Int? {
    guard header.count >= headerSize, header.starts(with: beginning) else { return nil }
    let size = header[beginning.count..<headerSize].reversed().reduce(0) { $0 << 8 | Int($1) }
    return size > headerSize + trailerSize ? size : nil
  }
}

/// One member at a time.
final class GzipDecompressor: BlockDecompressor {
  private let decompressor: OpaquePointer

  init() throws {
    guard let decompressor = libdeflate_alloc_decompressor() else {
      throw StillError(.failed, "no memory for decompressing gzip")
    }
    self.decompressor = decompressor
  }

  deinit { libdeflate_free_decompressor(decompressor) }

  func decompress(_ block: Block) throws {
    var used = 0
    var count = 0
    let result = libdeflate_gzip_decompress_ex(
      decompressor, block.output.baseAddress, block.outputCount, block.input.baseAddress,
      block.input.count, &used, &count)
    guard result == LIBDEFLATE_SUCCESS, used == block.outputCount else {
      throw DamagedStream(reason: "gzip: a member is not what it was")
    }
    block.inputCount = count
  }
}

/// gzip members one after the other (RFC 1952).
final class GzipSource: ByteSource {
  private let source: FileSource
  private let stream: UnsafeMutablePointer<z_stream>
  private var isInMember = false

  init(_ source: FileSource) throws {
    self.source = source
    stream = .allocate(capacity: 1)
    stream.initialize(to: z_stream())
    // 16 more than the largest window: gzip and nothing else.
    let code = inflateInit2_(
      stream, 15 + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    guard code == Z_OK else {
      stream.deallocate()
      throw StillError(.failed, "no memory for decompressing gzip")
    }
  }

  deinit {
    inflateEnd(stream)
    stream.deallocate()
  }

  func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    let room = min(buffer.count, Int(UInt32.max))
    stream.pointee.next_out = buffer.baseAddress?.assumingMemoryBound(to: UInt8.self)
    stream.pointee.avail_out = UInt32(room)
    while Int(stream.pointee.avail_out) == room {
      let ahead = try source.ahead()
      if ahead.isEmpty, !isInMember { return 0 }
      // zlib only reads there; its older headers do not say so.
      stream.pointee.next_in = UnsafeMutableRawPointer(mutating: ahead.baseAddress)?
        .assumingMemoryBound(to: UInt8.self)
      stream.pointee.avail_in = UInt32(ahead.count)
      let code = inflate(stream, Z_NO_FLUSH)
      source.take(ahead.count - Int(stream.pointee.avail_in))
      switch code {
      case Z_OK: isInMember = true
      case Z_STREAM_END:
        isInMember = false
        inflateReset(stream)
      case Z_BUF_ERROR where ahead.isEmpty:
        throw DamagedStream(reason: "it is cut short within a gzip member")
      default:
        let words = stream.pointee.msg.map { String(cString: $0) } ?? "error \(code)"
        throw DamagedStream(reason: "gzip: \(words)")
      }
    }
    return room - Int(stream.pointee.avail_out)
  }
}
