import StillModel
import StillSystem

/// The signals that ask a run to end: the first one stops the work at its next checkpoint and lets
/// it clean up.
enum Interruption {
  /// Runs `body`; a signal meanwhile cancels it.
  static func watch<Result>(_ body: (Cancellation) throws -> Result) throws -> Result {
    let cancellation = Cancellation()
    let watch = try SignalWatch { signal in cancellation.cancel(.interrupted(by: signal)) }
    defer { watch.end() }
    return try body(cancellation)
  }
}
