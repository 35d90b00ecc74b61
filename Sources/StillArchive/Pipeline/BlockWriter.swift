import StillSystem

/// Writes blocks as they are handed to it.
final class BlockWriter {
  private let output: OpenFile
  private let index: (any FrameIndexWriter)?
  private let early: EarlyWriting
  private var bytes: UInt64 = 0

  init(_ output: OpenFile, index: (any FrameIndexWriter)?) throws {
    self.output = output
    self.index = index
    early = try EarlyWriting(output)
  }

  func write(_ block: Block) throws {
    try write(block.stored)
    index?.add(compressed: block.outputCount, content: block.inputCount)
  }

  /// Writes what comes after the last block. - Returns: that, and how much there is altogether.
  func finish() throws -> (end: [UInt8], bytes: UInt64) {
    let end = index?.finish() ?? []
    try end.withUnsafeBytes { try write($0) }
    early.end()
    return (end, bytes)
  }

  private func write(_ piece: UnsafeRawBufferPointer) throws {
    try output.writeAll(piece)
    bytes += UInt64(piece.count)
    early.wrote(to: bytes)
  }
}
