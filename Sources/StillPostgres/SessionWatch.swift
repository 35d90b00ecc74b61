import Glibc
import StillModel
import StillSystem
import Synchronization

/// Notices at once when the server's end of a session closes, while nobody talks over it: a copy may
/// run for hours beside a session that was lost in the first minute.
///
/// It only looks at the sockets; the sessions stay their own thread's.
public final class SessionWatch: Sendable {
  private let isEnded = Mutex(false)
  private let thread = Mutex<WorkerThread?>(nil)

  /// - Parameters:
  ///   - sessions: to be kept open until `end`.
  ///   - lost: called once, on another thread, for the first that goes; with its place in the list.
  public init(_ sessions: [Session], lost: @escaping @Sendable (Int) -> Void) throws {
    let sockets = sessions.map(\.socket)
    let started = try WorkerThread { [self] in
      var entries = sockets.map { pollfd(fd: $0, events: hungUp, revents: 0) }
      while !isEnded.withLock({ $0 }) {
        guard poll(&entries, nfds_t(entries.count), 200) > 0 else { continue }
        let gone = Int16(POLLHUP | POLLERR | POLLNVAL) | hungUp
        if let index = entries.firstIndex(where: { $0.revents & gone != 0 }) {
          lost(index)
          return
        }
      }
    }
    thread.withLock { $0 = started }
  }

  public func end() {
    isEnded.withLock { $0 = true }
    thread.withLock { thread in
      thread?.join()
      thread = nil
    }
  }
}

/// `POLLRDHUP` of <poll.h>: the other end has closed.
private let hungUp: Int16 = 0x2000
