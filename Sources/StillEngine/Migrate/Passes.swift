import StillModel
import StillSystem
import StillVolumes

/// The passes while the server runs.
struct Passes {
  let plan: MigrationPlan
  let cluster: LiveCluster
  let target: TargetPlaces
  let transfers: Transfers
  let provider: any SnapshotProvider
  let run: Run

  /// Makes passes until the next one would take no less time than the one before, or little enough; from
  /// snapshots where there are any, else from live files.
  ///
  /// - Parameter finish: what comes after the last one; the snapshots that it read are still there.
  func make<Result>(then finish: (FrozenLook?) throws -> Result) throws -> Result {
    if !plan.volumes.isEmpty {
      do {
        return try fromSnapshots(then: finish)
      } catch let trouble as SnapshotTrouble {
        let why = [trouble.failure.message] + trouble.failure.further
        run.observer.noticed("the passes go on from the live files: \(why.joined(separator: "; "))")
      }
    }
    while try !isEnough(after: pass(over: .live, run)) {}
    return try finish(nil)
  }

  /// What has to do with the snapshots only: the live files are as good.
  private struct SnapshotTrouble: Error {
    var failure: StillError
  }

  /// What came of one set of snapshots.
  private enum Outcome<Result> {
    case another
    case failed(any Error)
    /// Whatever it came to, no pass is made after it.
    case finished(Swift.Result<Result, any Error>)
  }

  /// - Throws: `SnapshotTrouble`, and what has to do with anything else as it is.
  private func fromSnapshots<Result>(then finish: (FrozenLook?) throws -> Result) throws -> Result {
    while true {
      // What fills a snapshot stops its pass, not the migration.
      let inner = Run(run.observer, Cancellation(within: run.cancellation))
      let moment = Clock.wall()
      let outcome: Outcome<Result>
      let release: ReleaseReport
      do {
        (outcome, release) = try withFrozenSet(
          plan.freezeOrder(RunID(at: Clock.now()), cluster.layout), of: cluster, with: provider,
          inner
        ) { set in
          let places = FrozenPlaces(set: set, plan: plan, cluster: cluster, moment: moment)
          let look: FrozenLook?
          do {
            guard try isEnough(after: pass(over: .frozen(places), inner)) else { return .another }
            look =
              plan.isRehearsal || plan.finalPass == .full
              ? nil : try places.look(provider, inner.cancellation)
          } catch {
            return .failed(set.watch.explanation(of: error))
          }
          set.watch.end()
          return .finished(Swift.Result { try finish(look) })
        }
      } catch let failure as StillError {
        try run.cancellation.checkpoint()
        throw SnapshotTrouble(failure: failure)
      }
      if let left = release.failure { run.observer.noticed("\(left)") }
      switch outcome {
      case .another: continue
      case .finished(let result): return try result.get()
      case .failed(let failure):
        // Whoever looks after the snapshots stopped the pass, or a read of one failed first.
        if let failure = failure as? StillError, !run.cancellation.isCancelled,
          inner.cancellation.isCancelled || failure.status == .overflow
        {
          throw SnapshotTrouble(failure: failure)
        }
        throw failure
      }
    }
  }

  private func pass(over source: PassSource, _ run: Run) throws -> MigrationReport.Pass {
    let number = transfers.passes.count + 1
    let pass = try run.phase(.pass, "\(number), \(plan.target)", failsAs: .copying) {
      // It would be found with the server down.
      try cluster.requireUnchangedLayout()
      // What is only in the server's memory would be written by the stop, and copied by the final pass.
      if source.isLive { try cluster.checkpoint(run.cancellation) }
      let pass = try transfers.pass(over: source, run)
      try target.sync(run.cancellation)
      return pass
    }
    run.observer.noticed(pass.sentence)
    return pass
  }

  private func isEnough(after pass: MigrationReport.Pass) -> Bool {
    /// Of the downtime that is allowed, what the final pass may take.
    let share = 0.5
    /// Seconds below which another pass gains nothing: rsync itself takes so long to begin and end.
    let enough = max(1, (plan.mostDowntime ?? 2) * share)
    let all = transfers.passes
    if all.count >= plan.mostPasses { return true }
    // The first says nothing of the next: it copied everything.
    guard all.count > 1 else { return false }
    return pass.seconds <= enough || pass.seconds > all[all.count - 2].seconds * 0.7
  }
}
