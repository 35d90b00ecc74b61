import Glibc
import StillModel
import StillSystem
import Synchronization

/// Notices at once when the server's end of a session closes, while nobody talks over it: a copy may
/// run for hours beside a session that was lost in the first minute.
///
/// It only looks at the sockets; the sessions stay their own thread's.
public final class SessionWatch: Sendable {
  /// Of a pipe that the thread waits on too; closed to end it.
  private let otherEnd: OpenFile
  private let thread: Mutex<WorkerThread?>

  /// - Parameters:
  ///   - sessions: to be kept open until `end`.
  ///   - lost: called once, on another thread, for the first that goes; with its place in the list.
  public init(_ sessions: [Session], lost: @escaping @Sendable (Int) -> Void) throws {
    let (reading, writing) = try OpenFile.pipe()
    let sockets = sessions.map(\.socket)
    let started = try WorkerThread {
      var entries = sockets.map { pollfd(fd: $0, events: hungUp, revents: 0) }
      entries.append(pollfd(fd: reading.descriptor, events: hungUp, revents: 0))
      let gone = Int16(POLLHUP | POLLERR | POLLNVAL) | hungUp
      while true {
        // Nothing but those ends it: no signal comes to this thread.
        guard poll(&entries, nfds_t(entries.count), -1) > 0,
          let index = entries.firstIndex(where: { $0.revents & gone != 0 })
        else { continue }
        if index < sockets.count { lost(index) }
        return
      }
    }
    otherEnd = writing
    thread = Mutex(started)
  }

  public func end() {
    thread.withLock { thread in
      guard let ending = thread else { return }
      thread = nil
      try? otherEnd.close()
      ending.join()
    }
  }
}

/// `POLLRDHUP` of <poll.h>: the other end has closed.
private let hungUp: Int16 = 0x2000
