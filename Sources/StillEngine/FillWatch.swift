import StillModel
import StillSystem
import StillVolumes
import Synchronization

/// Looks at the snapshots every second while they are copied: keeps the series, and orders the copy
/// to stop when one of them has overflowed, for what is read from then on is worth nothing.
final class FillWatch: Sendable {
  private let samples = Mutex<[BackupRecord.FillSample]>([])
  private let isEnded = Mutex(false)
  private let provider: any SnapshotProvider
  private let clock = Stopwatch()
  private let thread: Mutex<WorkerThread?>

  init(_ provider: any SnapshotProvider, _ run: Run) throws {
    self.provider = provider
    let (observer, cancellation) = (run.observer, run.cancellation)
    thread = Mutex(nil)
    let thread = try WorkerThread { [self] in
      while !isEnded.withLock({ $0 }) {
        do {
          observer.filled(try look())
        } catch {
          cancellation.cancel(error as? StillError ?? StillError(.volumes, "\(error)"))
          return
        }
        for _ in 0..<10 where !isEnded.withLock({ $0 }) { Clock.sleep(milliseconds: 100) }
      }
    }
    self.thread.withLock { $0 = thread }
  }

  var history: [BackupRecord.FillSample] { samples.withLock { $0 } }

  /// Asks for the fill now.
  ///
  /// - Throws: `.overflow` where a snapshot is no longer valid.
  @discardableResult
  func look() throws -> [SnapshotFill] {
    let fills = try provider.fill()
    let seconds = clock.seconds
    samples.withLock { $0.append(.init(seconds: seconds, used: fills.map(\.used))) }
    for fill in fills where fill.state != .valid {
      throw fill.state == .invalid ? overflow(of: fill, after: seconds) : gone(fill)
    }
    return fills
  }

  /// Why work on the snapshots failed: an overflow shows first as a read that fails.
  func explanation(of failure: any Error) -> any Error {
    do {
      try look()
      return failure
    } catch let overflow as StillError where overflow.status == .overflow {
      return overflow.during((failure as? StillError)?.phase ?? Phase.copy.doing, as: .overflow)
    } catch {
      return failure
    }
  }

  func end() {
    isEnded.withLock { $0 = true }
    thread.withLock { thread in
      thread?.join()
      thread = nil
    }
  }

  private func gone(_ fill: SnapshotFill) -> StillError {
    StillError(
      .volumes, "snapshot \(fill.snapshot) was removed or changed by somebody else",
      hint: "Nothing was published; run again.")
  }

  private func overflow(of fill: SnapshotFill, after seconds: Double) -> StillError {
    StillError(
      .overflow,
      "snapshot \(fill.snapshot) overflowed within \(Int(seconds)) s of the freeze: its origin "
        + "\(fill.origin) took in more changes than its COW store holds",
      hint: "Nothing was published. Use a larger --snapshot-size, or a quieter hour; if it was not "
        + "full, dmesg tells of a disk that failed.")
  }
}
