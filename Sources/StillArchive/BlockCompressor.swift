import CDeflate
import CZstd
import StillModel

/// Compresses single blocks, each into something that can be decompressed by itself. Used by one
/// thread at a time.
protocol BlockCompressor: AnyObject {
  /// Fills the block's output.
  func compress(_ block: Block) throws
}

extension Compression {
  /// A compressor for one worker; nil where there is nothing to do.
  func makeCompressor() throws -> (any BlockCompressor)? {
    switch self {
    case .zstd(let level): try ZstdCompressor(level: level)
    case .gzip(let level): try GzipCompressor(level: level)
    case .none: nil
    }
  }
}

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

/// Each block becomes a gzip member (RFC 1952). gzip, tar and zlib's own functions read all members;
/// `pg_verifybackup --format=tar` of PostgreSQL 18 does not come to an end when there is more than
/// one, so for that program an archive has to be compressed with zstd or not at all.
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
    block.reserveOutput(libdeflate_gzip_compress_bound(compressor, block.inputCount))
    block.outputCount = libdeflate_gzip_compress(
      compressor, block.input.baseAddress, block.inputCount, block.output.baseAddress,
      block.output.count)
    // Zero says that the output had no room, which the bound rules out.
    guard block.outputCount > 0 else { throw StillError(.failed, "gzip cannot compress a block") }
  }
}
