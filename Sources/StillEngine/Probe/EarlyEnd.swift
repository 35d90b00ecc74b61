import StillModel
import StillSystem

/// Ends a probe before one of its snapshots is full and cannot be made larger: whatever the probe is doing then,
/// for a checkpoint fills a snapshot fastest.
final class EarlyEnd: Sendable {
  private let full = Monitor<VolumeName?>(nil)
  private let over = Cancellation()
  private let thread: WorkerThread

  /// - Parameters:
  ///   - watch: what looks at the snapshots, and extends them.
  ///   - whole: the origins whose store could hold all of them, and so never runs full.
  ///   - cancellation: is ordered to stop.
  init(
    _ watch: FillWatch, holdingAllOf whole: Set<VolumeName>, _ cancellation: Cancellation
  ) throws {
    thread = try WorkerThread { [full, over] in
      while !over.isCancelled {
        let trend = watch.trends.first {
          !whole.contains($0.fill.origin)
            && EarlyEnd.isDue($0, isStuck: watch.isStuck($0.fill.origin))
        }
        if let origin = trend?.fill.origin {
          full.update { $0 = origin }
          return cancellation.cancel(
            StillError(.volumes, "the snapshot of \(origin) was about to be full"))
        }
        Clock.sleep(milliseconds: 100)
      }
    }
  }

  deinit { end() }

  /// The origin of the snapshot that ended it; nil where none did.
  var origin: VolumeName? { full.update { $0 } }

  func end() {
    over.cancel(StillError(.failed, "the probe is done"))
    thread.join()
  }

  /// Pools are let go at 90 % by whoever watches them. A store that can grow is left to be extended, until the
  /// last moment.
  private static func isDue(_ trend: FillTrend, isStuck: Bool) -> Bool {
    if let metadata = trend.fill.metadata { return max(trend.fill.share, metadata) >= 0.87 }
    if trend.fill.share >= 0.97 { return true }
    return isStuck && (trend.fill.share >= 0.9 || (trend.secondsToFull ?? .infinity) < 6)
  }
}
