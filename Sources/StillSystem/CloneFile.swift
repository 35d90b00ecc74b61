import CStill
import Glibc
import StillModel

extension OpenFile {
  /// Lets this new and empty file share all of the blocks of `other`, which must be on the same file
  /// system: what is written to one of them later, the other does not see (ioctl_ficlone(2)).
  ///
  /// - Returns: false where the file system has nothing of that kind; then nothing has changed.
  public func clone(_ other: OpenFile) throws -> Bool {
    while true {
      if still_clone(descriptor, other.descriptor) == 0 { return true }
      let code = errno
      switch code {
      case EINTR: continue
      // Neither is every refusal of a kind that would be worth to fail for: a file may have as many
      // sharers as its file system can count.
      case ENOTTY, EOPNOTSUPP, ENOSYS, EXDEV, EINVAL, EPERM, EMLINK, EBADF, ETXTBSY: return false
      default: throw StillError.system("share the blocks of", other.path.string, code)
      }
    }
  }
}
