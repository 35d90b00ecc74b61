import CZlib
import CZstd
import StillModel
import StillSystem

/// Finds out by the first bytes how a file is compressed.
enum Decompressor {
  /// The file's decompressed bytes, from where it stands.
  static func open(_ file: OpenFile) throws -> any ByteSource {
    let source = FileSource(file)
    let magic = try source.beginning(4)
    if magic.starts(with: [0x1F, 0x8B]) { return try GzipSource(source) }
    if magic == [0x28, 0xB5, 0x2F, 0xFD] { return try ZstdSource(source) }
    // A skippable frame may come first, as pzstd and seekable formats write it.
    if magic.count == 4, magic[0] & 0xF0 == 0x50, magic[1...] == [0x2A, 0x4D, 0x18] {
      return try ZstdSource(source)
    }
    return source
  }
}

/// zstd frames one after the other, skippable ones among them (RFC 8878).
final class ZstdSource: ByteSource {
  private let source: FileSource
  private let context: OpaquePointer
  private var isInFrame = false

  init(_ source: FileSource) throws {
    guard let context = ZSTD_createDCtx() else {
      throw StillError(.failed, "no memory for decompressing zstd")
    }
    self.source = source
    self.context = context
    // Archives that other programs made with --long=31 are read as well.
    ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, 31)
  }

  deinit { ZSTD_freeDCtx(context) }

  func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    var output = ZSTD_outBuffer(dst: buffer.baseAddress, size: buffer.count, pos: 0)
    while output.pos == 0 {
      let ahead = try source.ahead()
      if ahead.isEmpty, !isInFrame { return 0 }
      var input = ZSTD_inBuffer(src: ahead.baseAddress, size: ahead.count, pos: 0)
      let result = ZSTD_decompressStream(context, &output, &input)
      if ZSTD_isError(result) != 0 {
        throw DamagedStream(reason: "zstd: \(String(cString: ZSTD_getErrorName(result)))")
      }
      source.take(input.pos)
      // An ended file may still have output waiting in the decompressor; with none, it is cut.
      if ahead.isEmpty, output.pos == 0 {
        throw DamagedStream(reason: "it is cut short within a zstd frame")
      }
      isInFrame = result != 0
    }
    return output.pos
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
