import CLibPQ
import Synchronization
import StillModel

/// Stops what a session is doing, from any thread: the one thing that libpq lets another thread do
/// to a connection (the manual, "Canceling Queries in Progress").
public final class Canceller: Sendable {
  private struct State: @unchecked Sendable {
    /// `PGcancel`; nil when the session is closed.
    var handle: OpaquePointer?
    var isCancelled = false
  }

  private let state: Mutex<State>

  init(connection: OpaquePointer) {
    let state = State(handle: PQgetCancel(connection))
    self.state = Mutex(state)
  }

  deinit { close() }

  /// Ends the query under way; that query and every later one of the session throw.
  ///
  /// Connects to the server a second time, so it may block as long as that does.
  public func cancel() {
    state.withLock { state in
      state.isCancelled = true
      Canceller.send(state.handle)
    }
  }

  public var isCancelled: Bool { state.withLock { $0.isCancelled } }

  /// Ends the query under way for a reason of the session's own.
  func interrupt() { state.withLock { Canceller.send($0.handle) } }

  func close() {
    state.withLock { state in
      if let handle = state.handle { PQfreeCancel(handle) }
      state.handle = nil
    }
  }

  /// The answer is not looked at: whether the query ended is seen on its own connection.
  private static func send(_ handle: OpaquePointer?) {
    guard let handle else { return }
    var reason = [CChar](repeating: 0, count: 256)
    _ = PQcancel(handle, &reason, Int32(reason.count))
  }
}
