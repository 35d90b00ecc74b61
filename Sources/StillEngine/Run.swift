import StillModel
import StillSystem

/// One execution of a job: who watches it, what can stop it, and what its phases took.
final class Run {
  var observer: any Observer { meter }
  let meter: CopyMeter
  let cancellation: Cancellation
  private(set) var phases: [BackupRecord.Phase] = []

  init(_ observer: any Observer, _ cancellation: Cancellation = Cancellation()) {
    meter = CopyMeter(observer)
    self.cancellation = cancellation
  }

  /// Does one phase: tells the observer, names the phase in a failure, keeps the time. A run that
  /// was told to stop begins no further phase; only what gives back is always done.
  ///
  /// - Throws: what `body` throws, with the phase; the reason to stop.
  func phase<Result>(
    _ phase: Phase, _ detail: String = "", failsAs status: ExitStatus,
    _ body: () throws -> Result
  ) throws -> Result {
    observer.began(phase, detail)
    TestHooks.reached("\(phase.rawValue).begin")
    let watch = Stopwatch()
    defer { phases.append(.init(name: phase.rawValue, seconds: watch.seconds)) }
    return try StillModel.phase(phase.doing, failsAs: status) {
      if !phase.isAlwaysDone { try cancellation.checkpoint() }
      let result = try body()
      TestHooks.reached("\(phase.rawValue).end")
      return result
    }
  }
}
