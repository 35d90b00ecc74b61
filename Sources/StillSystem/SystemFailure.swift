import Glibc
import StillModel
import SystemPackage

extension StillError {
  /// What a system call refused: `cannot open /a/b: Permission denied`, with a remedy where the
  /// reason has a common one. `code` is errno, read right after the call.
  public static func system(_ action: String, _ path: String, _ code: Int32) -> StillError {
    StillError(.failed, "cannot \(action) \(path): \(reason(code))", hint: remedy(code, path))
  }

  /// The C library's words for an errno.
  public static func reason(_ code: Int32) -> String {
    String(cString: strerror(code))
  }

  private static func remedy(_ code: Int32, _ path: String) -> String? {
    switch code {
    case ENOSPC: "Free some room on the file system of \(path), or use another place."
    case EDQUOT: "The quota on the file system of \(path) is used up."
    case EROFS: "The file system of \(path) is mounted read-only."
    case EMFILE, ENFILE: "Raise the limit of open files (ulimit -n)."
    default: nil
    }
  }
}

/// Calls `body` until it is not interrupted by a signal; throws errno's sentence when it fails.
@inline(__always)
func check<Result: SignedInteger>(
  _ action: @autoclosure () -> String, _ path: @autoclosure () -> String, _ body: () -> Result
) throws -> Result {
  while true {
    let result = body()
    if result >= 0 { return result }
    let code = errno
    if code != EINTR { throw StillError.system(action(), path(), code) }
  }
}
