import StillModel
import StillPostgres
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
  /// - Parameter finish: what comes after the last one. Where snapshots keep a list of what is written
  ///   after them, those that it read are still there.
  func make<Result>(then finish: (FrozenLook?) throws -> Result) throws -> Result {
    /// How often snapshots may be lost before it is believed that they always are.
    var trust = 2
    while true {
      guard !plan.volumes.isEmpty, trust > 0 else {
        if try isEnough(after: livePass()) { return try finish(nil) }
        continue
      }
      do {
        switch try frozenPass(then: finish) {
        case .another: continue
        case .enough: return try finish(nil)
        case .finished(let result): return try result.get()
        }
      } catch let trouble as SnapshotTrouble {
        trust -= 1
        run.observer.noticed("this pass goes on from the live files: \(trouble.failure)")
        if try isEnough(after: livePass()) { return try finish(nil) }
      }
    }
  }

  /// What has to do with the snapshots only: the live files are as good.
  private struct SnapshotTrouble: Error {
    var failure: StillError
  }

  /// What came of one set of snapshots.
  private enum Outcome<Result> {
    case another
    case enough
    /// Whatever it came to, no pass is made after it.
    case finished(Swift.Result<Result, any Error>)
  }

  /// - Throws: `SnapshotTrouble`, and what has to do with anything else as it is.
  private func frozenPass<Result>(
    then finish: (FrozenLook?) throws -> Result
  ) throws -> Outcome<Result> {
    // What fills a snapshot stops its pass, not the migration.
    let inner = Run(run.observer, Cancellation(within: run.cancellation))
    let clockOffset = Clock.offset()
    let outcome: Swift.Result<Outcome<Result>, any Error>
    let release: ReleaseReport
    do {
      (outcome, release) = try withFrozenSet(
        plan.freezeOrder(RunID(at: Clock.now()), cluster.layout), of: cluster, with: provider,
        inner
      ) { set in
        let places = FrozenPlaces(set: set, plan: plan, cluster: cluster, clockOffset: clockOffset)
        do {
          guard try isEnough(after: pass(over: .frozen(places), inner)) else {
            return .success(.another)
          }
        } catch {
          return .failure(set.watch.explanation(of: error))
        }
        guard let look = try look(at: places) else { return .success(.enough) }
        set.watch.end()
        return .success(.finished(Swift.Result { try finish(look) }))
      }
    } catch let failure as StillError {
      try run.cancellation.checkpoint()
      throw SnapshotTrouble(failure: failure)
    }
    if let left = release.failure { run.observer.noticed("\(left)") }
    do { return try outcome.get() } catch let failure as StillError {
      // Whoever looks after the snapshots stopped the pass, or a read of one failed first.
      guard !run.cancellation.isCancelled,
        inner.cancellation.isCancelled || failure.status == .overflow
      else { throw failure }
      throw SnapshotTrouble(failure: failure)
    }
  }

  /// Nil where the times of change have to do.
  private func look(at places: FrozenPlaces) throws -> FrozenLook? {
    guard !plan.isRehearsal, plan.finalPass == .changed, places.areListed else { return nil }
    do { return try places.look(provider, run.cancellation) } catch {
      try run.cancellation.checkpoint()
      run.observer.noticed("what was written since the last snapshots is not known: \(error)")
      return nil
    }
  }

  private func livePass() throws -> MigrationReport.Pass {
    // What is only in the server's memory would be written by the stop, and copied by the final pass.
    try cluster.checkpoint(run.cancellation)
    let moment = Clock.wall()
    // A server that never rests only makes the next pass compare more.
    let server = try Postmaster.running(in: cluster.directory.folder)
    let isSettled = server.map { ProcessFamily(of: $0.processID).comesToRest(within: 2) } ?? false
    return try pass(over: .live(moment, isSettled: isSettled), run)
  }

  private func pass(over source: PassSource, _ run: Run) throws -> MigrationReport.Pass {
    let number = transfers.passes.count + 1
    let pass = try run.phase(.pass, "\(number), \(plan.target)", failsAs: .copying) {
      // It would be found with the server down.
      try cluster.requireUnchangedLayout()
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
