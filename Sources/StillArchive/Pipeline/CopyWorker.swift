/// What a thread does for a pipeline that writes.
final class CopyWorker {
  private let compressor: (any BlockCompressor)?
  private let checksums: Checksums

  init(_ compressor: (any BlockCompressor)?, _ checksums: Checksums) {
    self.compressor = compressor
    self.checksums = checksums
  }

  /// Makes a block ready to be written: reads what is not there yet, looks at files that are in it
  /// whole, and compresses.
  func prepare(_ block: Block) throws {
    try block.readContents()
    try block.workOnWholes(checksums)
    try compressor?.compress(block)
  }

  /// Hands in the pieces of files that are larger. Whoever does that may find the pieces of other
  /// blocks waiting and be kept for long, so it comes after everything that the writer waits for.
  func handIn(_ block: Block, _ done: (Block) -> Void) throws {
    try block.workOnPieces(checksums, done)
  }
}
