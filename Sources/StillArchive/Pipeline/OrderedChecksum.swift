/// The checksum of a file's content while its pieces come in their order, holes counted as the zeros
/// that they are.
struct OrderedChecksum {
  private let running: RunningChecksum
  private var position: UInt64 = 0

  init(_ algorithm: ChecksumAlgorithm) throws { running = try RunningChecksum(algorithm) }

  /// Takes the next piece; what lies between it and the last one is a hole.
  mutating func take(
    _ bytes: UnsafeRawBufferPointer, at offset: UInt64, _ checksums: Checksums
  ) throws {
    try checksums.addZeros(offset - position, to: running)
    running.update(bytes)
    position = offset + UInt64(bytes.count)
  }

  /// The checksum of all of it, up to `size`.
  mutating func finish(size: UInt64, _ checksums: Checksums) throws -> Checksum {
    try checksums.addZeros(size - position, to: running)
    return running.finish()
  }
}
