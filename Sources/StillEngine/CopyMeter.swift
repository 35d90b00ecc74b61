import StillModel
import StillSystem
import Synchronization

/// How far the current phase has come; passes everything on to the observer of the run.
final class CopyMeter: Observer {
  private struct State {
    var watch = Stopwatch()
    var expected: UInt64 = 0
    var done: UInt64 = 0
    var phase: Phase?
  }

  private let observer: any Observer
  private let state = Mutex(State())

  init(_ observer: any Observer) { self.observer = observer }

  /// Seconds that the phase still takes at the rate so far; nil where that cannot be said yet.
  var secondsLeft: Double? {
    state.withLock { state in
      guard state.done > 0, state.expected >= state.done, state.watch.seconds > 1 else {
        return nil
      }
      let rate = Double(state.done) / state.watch.seconds
      return Double(state.expected - state.done) / rate
    }
  }

  /// How much of the phase is done, 0…1; nil where that cannot be said.
  var share: Double? {
    state.withLock { state in
      state.expected > 0 ? min(1, Double(state.done) / Double(state.expected)) : nil
    }
  }

  /// Bytes of content that the copy has gone through; nil in any other phase.
  var copied: UInt64? { state.withLock { $0.phase == .copy ? $0.done : nil } }

  func began(_ phase: Phase, _ detail: String) {
    state.withLock { $0 = State(phase: phase) }
    observer.began(phase, detail)
  }

  func expects(bytes: UInt64) {
    state.withLock { state in
      state.expected = bytes
      // It may be found out while the work is under way.
      if state.done == 0 { state.watch = Stopwatch() }
    }
    observer.expects(bytes: bytes)
  }

  func advanced(bytes: UInt64) {
    state.withLock { $0.done += bytes }
    observer.advanced(bytes: bytes)
  }

  func filled(_ trends: [FillTrend]) { observer.filled(trends) }
  func watched(seconds: Double, of duration: Double) {
    observer.watched(seconds: seconds, of: duration)
  }
  func noticed(_ text: String) { observer.noticed(text) }
}
