import CZstd
import StillModel

/// Each block becomes a zstd frame (RFC 8878) with content size and checksum.
final class ZstdCompressor: BlockCompressor {
  private let context: OpaquePointer

  init(level: Int) throws {
    guard let context = ZSTD_createCCtx() else {
      throw StillError(.failed, "no memory for compressing with zstd")
    }
    self.context = context
    try check(ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, Int32(level)))
    try check(ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1))
    try check(ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 1))
    // A table that stays in the processor's nearest cache: on PostgreSQL's pages a twentieth faster
    // than the level's own, and no larger.
    if level == 1 { try check(ZSTD_CCtx_setParameter(context, ZSTD_c_hashLog, 13)) }
  }

  deinit { ZSTD_freeCCtx(context) }

  func compress(_ block: Block) throws {
    block.reserveOutput(ZSTD_compressBound(block.inputCount))
    block.outputCount = try check(
      ZSTD_compress2(
        context, block.output.baseAddress, block.output.count, block.input.baseAddress,
        block.inputCount))
  }

  @discardableResult
  private func check(_ result: Int) throws -> Int {
    guard ZSTD_isError(result) == 0 else {
      throw StillError(
        .failed, "zstd cannot compress: \(String(cString: ZSTD_getErrorName(result)))")
    }
    return result
  }
}

/// One frame at a time.
final class ZstdDecompressor: BlockDecompressor {
  private let context: OpaquePointer

  init() throws { context = try makeContext() }

  deinit { ZSTD_freeDCtx(context) }

  func decompress(_ block: Block) throws {
    let result = ZSTD_decompressDCtx(
      context, block.input.baseAddress, block.input.count, block.output.baseAddress,
      block.outputCount)
    try checkDecompression(result)
    block.inputCount = result
  }
}

/// zstd frames one after the other, skippable ones among them (RFC 8878).
final class ZstdSource: ByteSource {
  private let source: FileSource
  private let context: OpaquePointer
  private var isInFrame = false

  init(_ source: FileSource) throws {
    self.source = source
    context = try makeContext()
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
      try checkDecompression(result)
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

private func makeContext() throws -> OpaquePointer {
  guard let context = ZSTD_createDCtx() else {
    throw StillError(.failed, "no memory for decompressing zstd")
  }
  return context
}

private func checkDecompression(_ result: Int) throws {
  if ZSTD_isError(result) != 0 {
    throw DamagedStream(reason: "zstd: \(String(cString: ZSTD_getErrorName(result)))")
  }
}
