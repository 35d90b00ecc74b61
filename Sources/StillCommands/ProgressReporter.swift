import StillEngine
import StillModel
import StillSystem
import Synchronization

enum ProgressStyle: String, CaseIterable, Sendable {
  case auto, bar, plain, none
}

/// Shows what a run is doing, on stderr: a bar that is drawn over itself, or plain lines.
final class ProgressReporter: Observer {
  private struct State {
    var phase: Phase?
    var done: UInt64 = 0
    var expected: UInt64 = 0
    var watch = Stopwatch()
    var nextLine = 0.0
    var trends: [FillTrend] = []
    /// Seconds of a probe that are over, and of how many.
    var watched: (seconds: Double, duration: Double)?
    /// Lines on the screen that the next drawing goes over.
    var drawnLines = 0
  }

  private let style: ProgressStyle
  private let verbose: Bool
  private let quiet: Bool
  private let state = Mutex(State())

  init(style: ProgressStyle, verbose: Bool, quiet: Bool) {
    self.style = style
    self.verbose = verbose
    self.quiet = quiet
  }

  func began(_ phase: Phase, _ detail: String) {
    state.withLock { state in
      wipe(&state)
      tellTime(state)
      state.phase = phase
      state.trends = []
      state.watched = nil
      state.done = 0
      state.expected = 0
      state.watch = Stopwatch()
      state.nextLine = style == .bar ? 0.2 : 5
      guard style != .none else { return }
      Terminal.talk(detail.isEmpty ? "\(phase)\n" : "\(phase): \(detail)\n")
    }
  }

  func expects(bytes: UInt64) { state.withLock { $0.expected = bytes } }

  func advanced(bytes: UInt64) {
    state.withLock { state in
      state.done += bytes
      let seconds = state.watch.seconds
      guard style == .bar || style == .plain, seconds >= state.nextLine else { return }
      state.nextLine = seconds + (style == .bar ? 0.2 : 5)
      draw(&state, seconds)
    }
  }

  func filled(_ trends: [FillTrend]) {
    state.withLock { state in
      state.trends = trends
      guard style == .bar, state.phase == .copy else { return }
      draw(&state, state.watch.seconds)
    }
  }

  func watched(seconds: Double, of duration: Double) {
    state.withLock { state in
      state.watched = (seconds, duration)
      guard style == .bar || style == .plain, seconds >= state.nextLine else { return }
      state.nextLine = seconds + (style == .bar ? 0.2 : max(5, duration / 20))
      draw(&state, seconds)
    }
  }

  func noticed(_ text: String) {
    guard !quiet else { return }
    state.withLock { state in
      wipe(&state)
      Terminal.talk("note: \(text)\n")
    }
  }

  /// Ends the last phase and clears the line of the bar, before something else is printed.
  func end() {
    state.withLock { state in
      wipe(&state)
      tellTime(state)
      state.phase = nil
    }
  }

  /// With `--verbose`: what the phase that ends took, and went through.
  private func tellTime(_ state: State) {
    guard verbose, style != .none, let phase = state.phase else { return }
    let bytes = state.done > 0 ? ", \(ByteCount.text(state.done))" : ""
    Terminal.talk("  \(phase) took \(Figures.duration(state.watch.seconds))\(bytes)\n")
  }

  private static func bar(_ share: Double) -> String {
    let marks = Int(max(0, min(1, share)) * 20)
    return "[" + String(repeating: "#", count: marks) + String(repeating: ".", count: 20 - marks)
      + "] "
  }

  private func wipe(_ state: inout State) {
    guard state.drawnLines > 0 else { return }
    Terminal.talk(String(repeating: "\u{1B}[1A", count: state.drawnLines) + "\r\u{1B}[J")
    state.drawnLines = 0
  }

  private func draw(_ state: inout State, _ seconds: Double) {
    var (bar, figures) = ("", [String]())
    if let (seconds, duration) = state.watched {
      bar = ProgressReporter.bar(seconds / max(duration, 0.001))
      figures = ["\(Figures.duration(seconds)) of \(Figures.duration(duration))"]
    } else {
      let rate = Double(state.done) / max(seconds, 0.001)
      figures = [ByteCount.text(state.done)]
      if state.expected > 0 {
        bar = ProgressReporter.bar(Double(state.done) / Double(state.expected))
        figures[0] += " of \(ByteCount.text(state.expected))"
      }
      figures.append("\(ByteCount.text(UInt64(rate)))/s")
      if state.expected > state.done, rate > 0 {
        figures.append("\(Figures.duration(Double(state.expected - state.done) / rate)) left")
      }
    }
    guard style == .bar else {
      if let fullest = state.trends.max(by: { $0.fill.share < $1.fill.share }) {
        figures.append("\(fullest.fill.origin) is \(fullest.sentence)")
      }
      Terminal.talk("  \(figures.joined(separator: ", "))\n")
      return
    }
    // What does not fit is left out whole.
    while (bar + figures.joined(separator: ", ")).count >= Terminal.columns, figures.count > 1 {
      figures.removeLast()
    }
    var lines = [bar + figures.joined(separator: ", ")]
    lines += state.trends.map { trend in
      String("  \(trend.fill.origin): \(trend.sentence)".prefix(max(Terminal.columns - 1, 20)))
    }
    wipe(&state)
    Terminal.talk(lines.map { $0 + "\n" }.joined())
    state.drawnLines = lines.count
  }
}
