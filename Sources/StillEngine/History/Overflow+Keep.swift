import StillModel
import StillSystem
import StillVolumes

extension FrozenSet {
  /// What is worth keeping of a set whose snapshots did not last; nil for every other failure.
  func overflow(_ failure: any Error) -> HistoryRecord.Overflow? {
    guard let failure = failure as? StillError, failure.status == .overflow else { return nil }
    return HistoryRecord.Overflow(
      began: report.at, message: failure.message, origins: snapshots.map(\.origin),
      sizes: snapshots.map { $0.kind == .classic ? $0.size : 0 },
      overflowed: watch.trends.filter { $0.fill.state == .invalid }.map(\.fill.origin),
      samples: watch.history, extensions: watch.extensions)
  }
}

extension ClusterFolder {
  /// Keeps what a backup saw before it was given up: the next one's snapshots are to be larger. That it cannot be
  /// kept is told, and changes nothing of the failure.
  func keep(
    _ overflow: HistoryRecord.Overflow, of plan: BackupPlan, _ cluster: LiveCluster,
    _ observer: any Observer
  ) {
    do {
      try historyForWriting().keep(
        HistoryRecord(
          overflow: overflow, of: plan.id, cluster: name,
          systemIdentifier: cluster.facts.systemIdentifier))
      observer.noticed("how its snapshots filled is kept: pgstill show \(plan.id) --fill")
    } catch {
      observer.noticed(
        "how its snapshots filled is not kept: \((error as? StillError)?.message ?? "\(error)")")
    }
  }
}
