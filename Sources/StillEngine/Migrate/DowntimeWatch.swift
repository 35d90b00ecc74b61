import StillPostgres
import StillSystem
import Synchronization

/// A client who tries to connect every 50 ms, as applications do, and notes when nobody answered.
final class DowntimeWatch: Sendable {
  private struct State {
    var lastAnswer: Int64?
    /// The last answer before the first silence, and the first one after it.
    var downSince: Int64?
    var upAgain: Int64?
    var isOver = false
  }

  private static let interval: UInt32 = 50
  private let state = Mutex(State())
  private let targets: [ConnectionTarget]
  private let thread = Mutex<WorkerThread?>(nil)

  /// - Parameter other: where the new server is, if that is another place.
  init(_ target: ConnectionTarget, _ other: ConnectionTarget?) throws {
    targets = [target] + (other.map { [$0] } ?? [])
    // Once on this thread, so that there is an answer to count from.
    look()
    let worker = try WorkerThread { [self] in
      while !state.withLock({ $0.isOver }) {
        Clock.sleep(milliseconds: DowntimeWatch.interval)
        look()
      }
    }
    thread.withLock { $0 = worker }
  }

  /// Ends it. - Returns: the seconds without an answer; nil where none came any more.
  func end() -> Double? {
    state.withLock { $0.isOver = true }
    thread.withLock { thread in
      thread?.join()
      thread = nil
    }
    look()
    return state.withLock { state in
      guard let down = state.downSince, let up = state.upAgain else { return nil }
      return Double(up - down) / 1e9
    }
  }

  private func look() {
    let answers = targets.contains { $0.answers(within: 2) }
    let now = Clock.monotonic()
    state.withLock { state in
      if answers {
        if state.downSince != nil, state.upAgain == nil { state.upAgain = now }
        state.lastAnswer = now
      } else if state.downSince == nil {
        state.downSince = state.lastAnswer ?? now
      }
    }
  }
}
