import CStill
import Glibc
import StillModel
import SystemPackage

extension OpenFolder {
  /// Mounts a file system nowhere, read-only, without device files, set-user-id or programs, and
  /// opens its root (fsopen(2), fsmount(2); Linux 5.2 or later). No path leads to it, so no other
  /// program takes notice; the kernel unmounts it when the last descriptor into it is closed, also
  /// when that is because its holders were killed.
  ///
  /// - Parameter ignoresUUID: for XFS, which refuses a second file system of the same UUID.
  public static func mountDetached(
    kind: String, device: FilePath, ignoresUUID: Bool
  ) throws -> OpenFolder {
    var words = [CChar](repeating: 0, count: 512)
    let descriptor = device.withPlatformString {
      still_mount_detached(kind, $0, ignoresUUID ? 1 : 0, &words, words.count)
    }
    let code = errno
    guard descriptor < 0 else { return OpenFolder(descriptor: descriptor, path: device) }
    var failure = StillError.system("mount (\(kind))", device.string, code)
    let text = words.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
    if let line = String(decoding: text, as: UTF8.self).split(separator: "\n").first {
      failure.message += " (\(line))"
    }
    throw failure
  }
}
