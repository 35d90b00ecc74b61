/// The checksum of an archive as it is written, block by block in their order, by whichever thread
/// comes by: the one that writes has enough to do.
final class ArchiveSum: @unchecked Sendable {
  private let blocks = InOrder<Block>()
  /// Used by one thread at a time, as the blocks are handled.
  private let running: RunningChecksum

  init(_ algorithm: ChecksumAlgorithm) throws { running = try RunningChecksum(algorithm) }

  /// Takes a block that is ready to be written. `done` is called for each block, this one or an earlier
  /// one, when it is not needed for this any more.
  func take(_ block: Block, _ done: (Block) -> Void) {
    blocks.bring(block, number: Int(block.number)) { block in
      running.update(block.stored)
      done(block)
    }
  }

  /// What is to come after the last block, and the checksum of all of it; when no thread is at work any
  /// more.
  func finish(adding end: [UInt8]) -> Checksum {
    end.withUnsafeBytes { running.update($0) }
    return running.finish()
  }

  /// Lets go of the blocks that wait.
  func abandon() { blocks.abandon() }
}
