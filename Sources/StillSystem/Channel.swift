import CStill
import Glibc
import StillModel

/// One end of a socket that carries lines, and with a line open descriptors.
///
/// Not for two threads at once: whoever shares it keeps a lock around a question and its answer.
public final class Channel {
  public let descriptor: Int32
  private var pending: [UInt8] = []
  private var pendingDescriptors: [Int32] = []
  private var isOpen = true

  /// A line longer than this is refused: nobody has that much to say.
  private static let longestLine = 4 << 20

  public init(descriptor: Int32) { self.descriptor = descriptor }

  deinit {
    for descriptor in pendingDescriptors { Glibc.close(descriptor) }
    close()
  }

  /// Two connected ends, both closed in children.
  public static func pair() throws -> (Channel, Channel) {
    var ends: [Int32] = [-1, -1]
    let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    _ = try check("create", "a socket pair") { socketpair(AF_UNIX, kind, 0, &ends) }
    return (Channel(descriptor: ends[0]), Channel(descriptor: ends[1]))
  }

  /// Sends one line (without its newline) and these descriptors, which stay open here too.
  public func send(_ line: [UInt8], descriptors: [Int32] = []) throws {
    _ = try check("write to", "the other process") {
      still_send(
        descriptor, line + [UInt8(ascii: "\n")], line.count + 1, descriptors, descriptors.count)
    }
  }

  /// Whether there is something to receive, or its end, within so many milliseconds.
  public func hasNews(within milliseconds: Int32) -> Bool {
    if pending.contains(UInt8(ascii: "\n")) { return true }
    var wanted = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    let count = poll(&wanted, 1, milliseconds)
    // A failure shows in the next `receive` too.
    return count > 0 || (count < 0 && errno != EINTR)
  }

  /// The next line and the descriptors that came with it; nil at the end.
  public func receive() throws -> (line: [UInt8], descriptors: [Int32])? {
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      if let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
        let line = Array(pending[..<end])
        pending.removeSubrange(...end)
        defer { pendingDescriptors = [] }
        return (line, pendingDescriptors)
      }
      guard pending.count < Channel.longestLine else {
        throw StillError(.failed, "the other process sent a line without an end")
      }
      var held = [Int32](repeating: -1, count: 16)
      var count = 0
      let got = try check("read from", "the other process") {
        still_receive(descriptor, &buffer, buffer.count, &held, &count)
      }
      pendingDescriptors += held[..<count]
      if got == 0 { return nil }
      pending += buffer[..<got]
    }
  }

  /// Closes a descriptor that came with a line and is not wanted.
  public static func discard(_ descriptor: Int32) { Glibc.close(descriptor) }

  /// Ends the line in both directions, for whoever waits at its ends too; it is closed later, by its
  /// owner.
  public static func hangUp(_ descriptor: Int32) {
    shutdown(descriptor, Int32(SHUT_RDWR))
  }

  public func close() {
    guard isOpen else { return }
    isOpen = false
    Glibc.close(descriptor)
  }
}
