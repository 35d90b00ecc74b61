import CStill
import Glibc
import StillModel

/// A socket of this host with a name that only its maker knows until he tells: for a child that
/// cannot be handed a descriptor, since sudo closes them.
public final class NamedSocket {
  public let name: String
  private let listener: Int32

  /// Listens under a new, random name.
  public init() throws {
    var random = SystemRandomNumberGenerator()
    let name = "pgstill-" + String(random.next(), radix: 36) + String(random.next(), radix: 36)
    self.name = name
    listener = try check("listen on", "a socket") { still_listen(name) }
  }

  deinit { Glibc.close(listener) }

  /// The next connection from a process of `user`; those of others are closed.
  ///
  /// - Returns: nil if none came within `milliseconds`.
  public func accept(from user: UInt32, milliseconds: Int32) throws -> Channel? {
    var peer: uid_t = 0
    let connection = still_accept(listener, milliseconds, &peer)
    let code = errno
    if connection < 0 {
      if code == EAGAIN || code == EINTR { return nil }
      throw StillError.system("take a connection on", "a socket", code)
    }
    let channel = Channel(descriptor: connection)
    return peer == user ? channel : nil
  }

  /// Connects to the socket of that name, if a process of `user` listens there.
  public static func connect(_ name: String, to user: UInt32) throws -> Channel {
    var peer: uid_t = 0
    let connection = try check("connect to", "the socket \(name)") { still_connect(name, &peer) }
    let channel = Channel(descriptor: connection)
    guard peer == user else {
      throw StillError(.failed, "the socket \(name) belongs to user \(peer), not \(user)")
    }
    return channel
  }
}

extension Channel {
  /// The descriptor that a parent passed on as a socket; nil if there is none.
  public static func inherited(_ descriptor: Int32) -> Channel? {
    still_is_socket(descriptor) != 0 ? Channel(descriptor: descriptor) : nil
  }
}
