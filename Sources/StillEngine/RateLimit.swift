import StillModel
import StillSystem
import Synchronization

/// Keeps a copy below a rate, so that the server's own reads come first. Time in which nothing was read
/// is not made up for, but for a moment. Several threads may take; who comes while another one waits, waits
/// behind him.
final class RateLimit: Sendable {
  private let bytesPerSecond: Double
  private let cancellation: Cancellation
  /// Seconds of which the bytes that were not read may be read later.
  private static let longestCredit = 1.0
  private let watch = Stopwatch()
  private let taken = Mutex(0.0)

  init(bytesPerSecond: UInt64, _ cancellation: Cancellation) {
    self.bytesPerSecond = Double(max(bytesPerSecond, 1))
    self.cancellation = cancellation
  }

  /// Counts bytes that were read, and waits until they are due; not once the run is to stop.
  func take(_ bytes: UInt64) {
    taken.withLock { taken in
      let credit = watch.seconds - taken / bytesPerSecond
      if credit > RateLimit.longestCredit {
        taken += (credit - RateLimit.longestCredit) * bytesPerSecond
      }
      taken += Double(bytes)
      while taken / bytesPerSecond > watch.seconds, !cancellation.isCancelled {
        let rest = taken / bytesPerSecond - watch.seconds
        Clock.sleep(milliseconds: UInt32(max(1, min(rest * 1000, 100))))
      }
    }
  }
}
