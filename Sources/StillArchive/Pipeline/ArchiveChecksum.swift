import StillSystem

/// The checksum of an archive as it lies there, computed of what is read of it anyway.
final class ArchiveChecksum {
  private let file: OpenFile
  private let running: RunningChecksum
  /// So much of the file is in it.
  private var position: UInt64 = 0
  private var isComplete = true

  init(_ file: OpenFile, _ algorithm: ChecksumAlgorithm) throws {
    self.file = file
    running = try RunningChecksum(algorithm)
  }

  /// Takes a stretch of the archive, in their order; what lies between it and the last one (an index,
  /// frames without content) is read now.
  func take(_ block: Block) throws {
    let bytes = block.stored
    // Of a stream without frames nobody knows where its bytes lay.
    guard isComplete, block.frame.compressed == bytes.count, block.frame.offset >= position else {
      isComplete = false
      return
    }
    try readOn(to: block.frame.offset)
    running.update(bytes)
    position += UInt64(bytes.count)
  }

  /// Reads what is behind the last stretch, or everything where the stretches were not all of it.
  func finish(_ cancellation: Cancellation?) throws -> Checksum {
    if !isComplete {
      _ = running.finish()
      position = 0
    }
    try readOn(to: .max, cancellation)
    return running.finish()
  }

  private func readOn(to end: UInt64, _ cancellation: Cancellation? = nil) throws {
    guard position < end else { return }
    try withUnsafeTemporaryAllocation(byteCount: 256 << 10, alignment: 4096) { buffer in
      while position < end {
        try cancellation?.checkpoint()
        let room = UnsafeMutableRawBufferPointer(
          rebasing: buffer.prefix(Int(min(end - position, UInt64(buffer.count)))))
        let count = try file.readFully(into: room, at: position)
        if count == 0 { return }
        running.update(UnsafeRawBufferPointer(rebasing: room[..<count]))
        position += UInt64(count)
      }
    }
  }
}
