import CStill
import Glibc
import StillModel
import SystemPackage

/// A user of the machine.
public struct Account: Hashable, Sendable {
  public var user: UInt32
  public var group: UInt32
  public var name: String
  public var home: String

  /// - Returns: nil if no user has that number.
  public static func of(user: UInt32) -> Account? {
    guard let entry = getpwuid(user) else { return nil }
    return Account(
      user: user, group: entry.pointee.pw_gid, name: String(cString: entry.pointee.pw_name),
      home: String(cString: entry.pointee.pw_dir))
  }

  public static var effectiveUser: UInt32 { geteuid() }

  /// Whether this process may give what belongs to `owner` its mode, times and attributes.
  public static func mayChange(whatIsOf owner: UInt32) -> Bool {
    effectiveUser == owner || effectiveUser == 0
  }

  /// Makes this process that user for good: real, effective and saved ids, and its groups.
  ///
  /// Must run before the first thread, connection or file. HOME, USER and LOGNAME follow, for libpq
  /// looks for the password file under HOME.
  ///
  /// - Throws: also when root could be had back.
  public func becomeForGood() throws {
    guard initgroups(name, group) == 0, setgid(group) == 0, setuid(user) == 0 else {
      let code = errno
      throw StillError.system("become user", name, code)
    }
    if user != 0, setuid(0) == 0 || geteuid() == 0 {
      throw StillError(.failed, "root could not be given up for user \(name)")
    }
    setenv("HOME", home, 1)
    setenv("USER", name, 1)
    setenv("LOGNAME", name, 1)
  }
}
