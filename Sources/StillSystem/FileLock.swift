import CStill
import Glibc
import StillModel
import SystemPackage

/// An exclusive lock on a file that lasts as long as this value, or the process (flock(2)). The file
/// is never removed: whoever waits for it must not end up with a lock on a file that has no name.
public final class FileLock: Sendable {
  private let file: OpenFile

  /// Takes the lock at once.
  ///
  /// - Parameter note: written into the file, for whoever finds it locked.
  /// - Returns: nil if somebody else holds it.
  public static func take(
    _ name: FilePath, in folder: OpenFolder, note: String, permissions: UInt32 = 0o600
  ) throws -> FileLock? {
    let file = try folder.file(name, .update(permissions: permissions))
    if flock(file.descriptor, LOCK_EX | LOCK_NB) != 0 {
      let code = errno
      if code == EWOULDBLOCK { return nil }
      throw StillError.system("lock", file.path.string, code)
    }
    try file.truncate(to: 0)
    try file.rewind()
    try file.writeAll(Array((note + "\n").utf8))
    return FileLock(file)
  }

  /// Whether somebody holds the lock now; what is written in the file is left as it is.
  public static func isHeld(_ name: FilePath, in folder: OpenFolder) throws -> Bool {
    let file = try folder.file(name)
    guard flock(file.descriptor, LOCK_EX | LOCK_NB) != 0 else { return false }
    let code = errno
    guard code == EWOULDBLOCK else { throw StillError.system("lock", file.path.string, code) }
    return true
  }

  /// Adds a line below the note.
  public func append(_ line: String) throws {
    try file.writeAll(Array((line + "\n").utf8))
  }

  private init(_ file: OpenFile) { self.file = file }

  /// What the holder of a lock wrote into it when it took it.
  public static func note(_ name: FilePath, in folder: OpenFolder) -> String? {
    lines(name, in: folder).first
  }

  /// What the holder of a lock wrote into it.
  ///
  /// - Returns: its lines, the note first; none where it cannot be read.
  public static func lines(_ name: FilePath, in folder: OpenFolder) -> [String] {
    guard let bytes = try? folder.file(name).readAll(limit: 1 << 20) else { return [] }
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
  }
}
