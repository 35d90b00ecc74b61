import StillModel
import SystemPackage

/// Compares a file's content, as it passes by, with what the manifest says of it.
final class FileCheck {
  private let listed: ManifestFile
  private let running: RunningChecksum
  private var size: UInt64 = 0

  init(_ listed: ManifestFile) throws {
    self.listed = listed
    running = try RunningChecksum(listed.checksum.algorithm)
  }

  func update(_ bytes: UnsafeRawBufferPointer) {
    size += UInt64(bytes.count)
    running.update(bytes)
  }

  /// What is wrong with it; nil where all is well.
  func finish() -> String? {
    let found = running.finish()
    if size != listed.size { return "it has \(size) bytes instead of \(listed.size)" }
    if found != listed.checksum {
      return "its \(found.algorithm.rawValue) checksum is \(found) instead of \(listed.checksum)"
    }
    return nil
  }
}
