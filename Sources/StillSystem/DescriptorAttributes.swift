import Glibc
import StillModel

// Attributes set through an open descriptor: what is changed is what was opened, even if somebody
// puts a link in its place meanwhile.

extension OpenFile {
  public func setPermissions(_ bits: UInt32) throws {
    _ = try check("set the mode of", path.string) { fchmod(descriptor, bits) }
  }

  /// Needs the right to, unless both are what they were.
  public func setOwner(user: UInt32, group: UInt32) throws {
    _ = try check("set the owner of", path.string) { fchown(descriptor, user, group) }
  }

  public func setModified(seconds: Int64, nanoseconds: Int64) throws {
    let times = modificationOnly(seconds, nanoseconds)
    _ = try check("set the time of", path.string) { futimens(descriptor, times) }
  }
}

extension OpenFolder {
  public func setPermissions(_ bits: UInt32) throws {
    _ = try check("set the mode of", path.string) { fchmod(descriptor, bits) }
  }

  /// Needs the right to, unless both are what they were.
  public func setOwner(user: UInt32, group: UInt32) throws {
    _ = try check("set the owner of", path.string) { fchown(descriptor, user, group) }
  }

  public func setModified(seconds: Int64, nanoseconds: Int64) throws {
    let times = modificationOnly(seconds, nanoseconds)
    _ = try check("set the time of", path.string) { futimens(descriptor, times) }
  }
}

/// Times for futimens(2) that leave the time of last access alone (`UTIME_OMIT`).
private func modificationOnly(_ seconds: Int64, _ nanoseconds: Int64) -> [timespec] {
  [
    timespec(tv_sec: 0, tv_nsec: (1 << 30) - 2),
    timespec(tv_sec: Int(seconds), tv_nsec: Int(nanoseconds)),
  ]
}
