import StillSystem

/// Writes blocks as they are handed to it, and computes the checksum of what it writes.
final class BlockWriter {
  /// So much is written before the disk is told to begin: it is not left to the end.
  private static let stride: UInt64 = 16 << 20

  private let output: OpenFile
  private let index: (any FrameIndexWriter)?
  private let checksum: RunningChecksum
  private var bytes: UInt64 = 0
  private var begun: UInt64 = 0

  init(
    _ output: OpenFile, index: (any FrameIndexWriter)?, checksum: ChecksumAlgorithm
  ) throws {
    self.output = output
    self.checksum = try RunningChecksum(checksum)
    self.index = index
  }

  func write(_ block: Block) throws {
    try write(block.stored)
    index?.add(compressed: block.outputCount, content: block.inputCount)
  }

  func finish() throws -> CopyPipeline.Output {
    if let end = index?.finish() { try end.withUnsafeBytes { try write($0) } }
    return CopyPipeline.Output(bytes: bytes, checksum: checksum.finish())
  }

  private func write(_ piece: UnsafeRawBufferPointer) throws {
    try output.writeAll(piece)
    checksum.update(piece)
    bytes += UInt64(piece.count)
    if bytes - begun >= BlockWriter.stride {
      output.startWriting(begun, Int(bytes - begun))
      begun = bytes
    }
  }
}
