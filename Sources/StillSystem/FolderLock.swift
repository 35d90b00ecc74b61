import Glibc
import StillModel

/// An exclusive lock on a folder itself that lasts as long as this value, or the process (flock(2)). It
/// leaves nothing behind.
public final class FolderLock: Sendable {
  private let folder: OpenFolder

  /// Takes the lock at once; nil if somebody else holds it.
  public static func take(_ folder: OpenFolder) throws -> FolderLock? {
    // A description of its own: the lock belongs to that.
    let own = try folder.folder(".")
    if flock(own.descriptor, LOCK_EX | LOCK_NB) == 0 { return FolderLock(own) }
    let code = errno
    if code == EWOULDBLOCK { return nil }
    throw StillError.system("lock", folder.path.string, code)
  }

  private init(_ folder: OpenFolder) { self.folder = folder }
}
