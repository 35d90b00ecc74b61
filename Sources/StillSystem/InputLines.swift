import Glibc
import StillModel

/// The lines of this process's stdin, one after the other.
public struct InputLines: Sendable {
  public enum Next: Hashable, Sendable {
    case line(String)
    /// So far.
    case nothing
    case end
  }

  private var pending: [UInt8] = []
  private var isAtEnd = false

  /// A line longer than this is refused.
  private static let longest = 1 << 20

  public init() {}

  /// The next line, if it comes within so many milliseconds. A last one without an end does not count.
  public mutating func next(within milliseconds: Int32) throws -> Next {
    let watch = Stopwatch()
    while true {
      if let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
        defer { pending.removeSubrange(...end) }
        return .line(String(decoding: pending[..<end], as: UTF8.self))
      }
      if isAtEnd { return .end }
      guard pending.count < InputLines.longest else {
        throw StillError(.failed, "stdin has a line without an end")
      }
      let left = Double(milliseconds) - watch.seconds * 1000
      guard left > 0 else { return .nothing }
      var wanted = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
      guard poll(&wanted, 1, Int32(left) + 1) > 0 else { continue }
      var buffer = [UInt8](repeating: 0, count: 4096)
      let count = read(STDIN_FILENO, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      if count <= 0 { isAtEnd = true } else { pending += buffer[..<count] }
    }
  }
}
