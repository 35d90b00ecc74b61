import StillModel
import StillSystem

/// Keeps a copy below a rate, so that the server's own reads come first.
final class RateLimit {
  private let bytesPerSecond: Double
  private let cancellation: Cancellation
  private let watch = Stopwatch()
  private var taken = 0.0

  init(bytesPerSecond: UInt64, _ cancellation: Cancellation) {
    self.bytesPerSecond = Double(max(bytesPerSecond, 1))
    self.cancellation = cancellation
  }

  /// Counts bytes that were read, and waits until they are due; not once the run is to stop.
  func take(_ bytes: UInt64) {
    taken += Double(bytes)
    while taken / bytesPerSecond > watch.seconds, !cancellation.isCancelled {
      let rest = taken / bytesPerSecond - watch.seconds
      Clock.sleep(milliseconds: UInt32(max(1, min(rest * 1000, 100))))
    }
  }
}
