import StillModel
import StillSystem
import Synchronization

/// Ends the run when the downtime that was allowed is over before everything is copied, or says so.
final class BudgetWatch: Sendable {
  private let isOver = Mutex(false)
  private let thread = Mutex<WorkerThread?>(nil)

  /// - Parameter seconds: from now on.
  init(_ seconds: Double, _ policy: OverrunPolicy, _ run: Run) throws {
    let (observer, cancellation) = (run.observer, run.cancellation)
    let watch = Stopwatch()
    let worker = try WorkerThread { [self] in
      while watch.seconds < seconds {
        if isOver.withLock({ $0 }) { return }
        Clock.sleep(milliseconds: 20)
      }
      switch policy {
      case .continue:
        observer.noticed(
          "the downtime of \(Figures.duration(seconds)) that was allowed is over; going on, as asked"
        )
      case .rollback:
        cancellation.cancel(
          StillError(
            .copying,
            "the downtime of \(Figures.duration(seconds)) that was allowed was over before "
              + "everything was copied",
            hint: "Allow more passes, a longer --max-downtime, or --on-overrun continue."))
      }
    }
    thread.withLock { $0 = worker }
  }

  func end() {
    isOver.withLock { $0 = true }
    thread.withLock { thread in
      thread?.join()
      thread = nil
    }
  }
}
