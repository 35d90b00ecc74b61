import Glibc

/// Waits for a socket in short turns, so that deadlines and cancelling are seen in between.
enum SocketWait {
  /// How long one turn lasts at most.
  static let turn = Duration.milliseconds(200)

  /// True when `socket` is ready for reading (or for writing, if asked), false when the turn or
  /// `deadline` is over. Errors of the socket count as ready: libpq finds them when it reads.
  static func ready(
    _ socket: Int32, reading: Bool, writing: Bool, until deadline: ContinuousClock.Instant?
  ) -> Bool {
    var wait = turn
    if let deadline { wait = min(wait, max(.zero, ContinuousClock.now.duration(to: deadline))) }
    let milliseconds = Int32(
      wait.components.seconds * 1000 + wait.components.attoseconds / 1_000_000_000_000_000)
    var events: Int32 = 0
    if reading { events |= POLLIN }
    if writing { events |= POLLOUT }
    var entry = pollfd(fd: socket, events: Int16(events), revents: 0)
    // One more millisecond: a rest of less than one must not make a busy loop.
    return poll(&entry, 1, milliseconds + 1) > 0
  }
}

extension ContinuousClock.Instant {
  var isOver: Bool { .now >= self }
}
