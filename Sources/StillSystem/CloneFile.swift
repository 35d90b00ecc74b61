import CStill
import Glibc
import StillModel

extension OpenFile {
  /// Lets this new and empty file share all of the blocks of `other`, which must be on the same file
  /// system: what is written to one of them later, the other does not see (ioctl_ficlone(2)).
  ///
  /// - Parameter size: what `other` has, in bytes.
  /// - Returns: false where that cannot be had; then this file is as empty as before.
  public func clone(_ other: OpenFile, size: UInt64) throws -> Bool {
    while true {
      if still_clone(descriptor, other.descriptor) == 0 { break }
      // Whatever the reason is, nothing is lost: the content comes by all the same.
      if errno != EINTR { return try emptied() }
    }
    // XFS of Linux 4.20 to 6.12 may say that all is well, and have shared a part only ("xfs: don't drop
    // errno values when we fail to ficlone the entire range").
    return try metadata().size == size ? true : emptied()
  }

  private func emptied() throws -> Bool {
    if try metadata().size != 0 { try truncate(to: 0) }
    return false
  }
}
