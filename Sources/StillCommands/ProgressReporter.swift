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
    var fills: [SnapshotFill] = []
    var barIsDrawn = false
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

  func filled(_ fills: [SnapshotFill]) { state.withLock { $0.fills = fills } }

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

  private func wipe(_ state: inout State) {
    if state.barIsDrawn { Terminal.talk("\r\u{1B}[K") }
    state.barIsDrawn = false
  }

  private func draw(_ state: inout State, _ seconds: Double) {
    let rate = Double(state.done) / max(seconds, 0.001)
    var figures = [ByteCount.text(state.done)]
    var bar = ""
    if state.expected > 0 {
      let share = min(1, Double(state.done) / Double(state.expected))
      bar = "[" + String(repeating: "#", count: Int(share * 20))
      bar += String(repeating: ".", count: 20 - Int(share * 20)) + "] "
      figures[0] += " of \(ByteCount.text(state.expected))"
    }
    figures.append("\(ByteCount.text(UInt64(rate)))/s")
    if state.expected > state.done, rate > 0 {
      figures.append("\(Figures.duration(Double(state.expected - state.done) / rate)) left")
    }
    if let fullest = state.fills.max(by: { $0.share < $1.share }) {
      figures.append("\(fullest.origin) fills \(Figures.percent(fullest.share))")
    }
    guard style == .bar else {
      Terminal.talk("  \(figures.joined(separator: ", "))\n")
      return
    }
    // What does not fit is left out whole.
    while (bar + figures.joined(separator: ", ")).count >= Terminal.columns, figures.count > 1 {
      figures.removeLast()
    }
    Terminal.talk("\r\(bar)\(figures.joined(separator: ", "))\u{1B}[K")
    state.barIsDrawn = true
  }
}
