import StillModel

/// Compresses single blocks, each into something that can be decompressed by itself. Used by one
/// thread at a time.
protocol BlockCompressor: AnyObject {
  /// Fills the block's output.
  func compress(_ block: Block) throws
}

/// Decompresses what a `BlockCompressor` made. Used by one thread at a time.
protocol BlockDecompressor: AnyObject {
  /// Fills the block's input from its output. How much that is, the frame itself says best.
  ///
  /// - Throws: `DamagedStream` where it does not fit, or is not what was compressed.
  func decompress(_ block: Block) throws
}

/// Says where the frames of an archive are, for readers that want to begin within it.
protocol FrameIndexWriter: AnyObject {
  /// Sizes in bytes.
  func add(compressed: Int, content: Int)
  /// What stands behind the last frame.
  func finish() -> [UInt8]
}

extension Compression {
  /// A compressor for one worker; nil where there is nothing to do.
  func makeCompressor() throws -> (any BlockCompressor)? {
    switch self {
    case .zstd(let level): try ZstdCompressor(level: level)
    case .gzip(let level): try GzipCompressor(level: level)
    case .lz4: LZ4Compressor()
    case .none: nil
    }
  }

  /// nil where frames say themselves how long they are.
  func makeIndex() -> (any FrameIndexWriter)? {
    if case .zstd = self { SeekTableWriter() } else { nil }
  }
}
