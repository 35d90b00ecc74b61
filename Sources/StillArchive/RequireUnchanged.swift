import StillModel
import StillSystem

/// Reads an archive to its end and compares its checksum; unpacks and writes nothing.
///
/// - Parameter progress: called with every number of bytes read.
/// - Throws: `.copying` where it is not what it was.
public func requireUnchanged(
  archive: OpenFile, _ checksum: Checksum, _ cancellation: Cancellation? = nil,
  progress: (UInt64) -> Void = { _ in }
) throws {
  let running = try RunningChecksum(checksum.algorithm)
  let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
  defer { buffer.deallocate() }
  while true {
    try cancellation?.checkpoint()
    let count = try archive.readSome(into: buffer)
    if count == 0 { break }
    running.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
    progress(UInt64(count))
  }
  guard running.finish() == checksum else { throw archiveWasChanged(archive, checksum.algorithm) }
}

func archiveWasChanged(_ archive: OpenFile, _ algorithm: ChecksumAlgorithm) -> StillError {
  StillError(
    .copying,
    "\(archive.path) was changed: its \(algorithm.rawValue) checksum is not what "
      + "backup.json says",
    hint: "Restore from another backup; pgstill verify says what else is wrong with this one.")
}
