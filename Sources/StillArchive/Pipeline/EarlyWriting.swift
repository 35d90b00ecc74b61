import StillSystem

/// Lets the disk begin with what is written while the rest is on its way, on a thread of its own: the
/// kernel finds room for it in the call, and that takes nearly as long as the writing.
final class EarlyWriting {
  /// So much is written before the disk is told.
  private static let stride: UInt64 = 16 << 20

  private struct State {
    /// Up to where it was written, and up to where the disk was told.
    var written: UInt64 = 0
    var told: UInt64 = 0
    var isOver = false
  }

  private let shared = Monitor(State())
  private let thread: WorkerThread

  init(_ output: OpenFile) throws {
    let shared = shared
    thread = try WorkerThread {
      while true {
        let range: Range<UInt64>? = shared.wait { state in
          if state.isOver { return .some(nil) }
          guard state.written - state.told >= EarlyWriting.stride else { return nil }
          defer { state.told = state.written }
          return state.told..<state.written
        }
        guard let range else { return }
        output.startWriting(range.lowerBound, range.count)
      }
    }
  }

  deinit { end() }

  func wrote(to end: UInt64) {
    shared.update { $0.written = end }
  }

  func end() {
    shared.update { $0.isOver = true }
    thread.join()
  }
}
