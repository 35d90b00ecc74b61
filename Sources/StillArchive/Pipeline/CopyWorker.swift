/// What a thread does for a pipeline that writes.
final class CopyWorker {
  private let compressor: (any BlockCompressor)?
  private let checksums: Checksums
  private let sum: ArchiveSum

  init(_ compressor: (any BlockCompressor)?, _ checksums: Checksums, _ sum: ArchiveSum) {
    self.compressor = compressor
    self.sum = sum
    self.checksums = checksums
  }

  /// Makes a block ready to be written: reads what is not there yet, looks at files that are in it
  /// whole, and compresses.
  func prepare(_ block: Block) throws {
    try block.readContents()
    try block.workOnWholes(checksums)
    try compressor?.compress(block)
  }

  /// Hands in the block to the archive's checksum, and the pieces of files that are larger. Whoever
  /// does that may find those of other blocks waiting and be kept for long, so it comes after everything
  /// that the writer waits for.
  func handIn(_ block: Block, _ done: (Block) -> Void) throws {
    sum.take(block, done)
    try block.workOnPieces(checksums, done)
  }
}
