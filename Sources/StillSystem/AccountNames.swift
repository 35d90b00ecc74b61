import Glibc
import Synchronization

/// Names of users and groups, and back, as this host knows them. Each is asked for once: behind the
/// question may stand a directory service.
public final class AccountNames: Sendable {
  private struct Known {
    var users: [UInt32: [UInt8]] = [:]
    var groups: [UInt32: [UInt8]] = [:]
    var userNumbers: [[UInt8]: UInt32?] = [:]
    var groupNumbers: [[UInt8]: UInt32?] = [:]
  }
  private let known = Mutex(Known())

  public init() {}

  /// Empty where the user has no name.
  public func user(_ id: UInt32) -> [UInt8] {
    known.withLock { known in
      if let name = known.users[id] { return name }
      let name: [UInt8]? = AccountNames.lookUp { base, room in
        var record = passwd()
        var found: UnsafeMutablePointer<passwd>?
        let code = getpwuid_r(id, &record, base, room, &found)
        return (code, found.map { AccountNames.bytes($0.pointee.pw_name) })
      }
      known.users[id] = name ?? []
      return name ?? []
    }
  }

  /// Empty where the group has no name.
  public func group(_ id: UInt32) -> [UInt8] {
    known.withLock { known in
      if let name = known.groups[id] { return name }
      let name: [UInt8]? = AccountNames.lookUp { base, room in
        var record = Glibc.group()
        var found: UnsafeMutablePointer<Glibc.group>?
        let code = getgrgid_r(id, &record, base, room, &found)
        return (code, found.map { AccountNames.bytes($0.pointee.gr_name) })
      }
      known.groups[id] = name ?? []
      return name ?? []
    }
  }

  /// nil where no user has that name here.
  public func user(named name: [UInt8]) -> UInt32? {
    if name.isEmpty { return nil }
    return known.withLock { known in
      if let number = known.userNumbers[name] { return number }
      let terminated = name.map { CChar(bitPattern: $0) } + [0]
      let number: UInt32? = AccountNames.lookUp { base, room in
        var record = passwd()
        var found: UnsafeMutablePointer<passwd>?
        let code = getpwnam_r(terminated, &record, base, room, &found)
        return (code, found.map { $0.pointee.pw_uid })
      }
      known.userNumbers[name] = .some(number)
      return number
    }
  }

  /// nil where no group has that name here.
  public func group(named name: [UInt8]) -> UInt32? {
    if name.isEmpty { return nil }
    return known.withLock { known in
      if let number = known.groupNumbers[name] { return number }
      let terminated = name.map { CChar(bitPattern: $0) } + [0]
      let number: UInt32? = AccountNames.lookUp { base, room in
        var record = Glibc.group()
        var found: UnsafeMutablePointer<Glibc.group>?
        let code = getgrnam_r(terminated, &record, base, room, &found)
        return (code, found.map { $0.pointee.gr_gid })
      }
      known.groupNumbers[name] = .some(number)
      return number
    }
  }

  /// Calls with ever more room while the C library says that the record does not fit.
  private static func lookUp<Answer>(
    _ call: (UnsafeMutablePointer<CChar>, Int) -> (code: Int32, answer: Answer?)
  ) -> Answer? {
    var room = 4096
    while room <= 1 << 20 {
      let buffer = UnsafeMutablePointer<CChar>.allocate(capacity: room)
      defer { buffer.deallocate() }
      let result = call(buffer, room)
      if result.code != ERANGE { return result.answer }
      room *= 4
    }
    return nil
  }

  private static func bytes(_ text: UnsafeMutablePointer<CChar>?) -> [UInt8] {
    guard let text else { return [] }
    return UnsafeBufferPointer(start: text, count: strlen(text)).map { UInt8(bitPattern: $0) }
  }
}
