import StillModel
import StillPostgres
import StillSystem
import StillVolumes
import SystemPackage

/// What the caller wants of a probe.
public struct ProbeRequest: Sendable {
  /// Absolute.
  public var dataDirectory: FilePath
  /// Absolute: where the last backups say what a copy takes, and what was seen is kept; nil where there is none.
  public var repository: FilePath?
  public var cluster: String?
  /// In seconds.
  public var duration = 1800.0
  /// From one look to the next, in seconds.
  public var interval = 1.0
  /// How long the copy takes, in seconds; nil finds it out.
  public var copyTime: Double?
  public var safety = 2.0
  /// Those to count the cost of, in bytes, each one of `OverwrittenChunks.usualSizes`.
  public var chunkSizes = OverwrittenChunks.usualSizes
  public var snapshotSize = SnapshotSize.automatic
  public var extending = ExtensionPolicy()
  /// Seconds after which the guard ends the freeze window.
  public var freezeDeadline = 5.0

  public init(dataDirectory: FilePath) { self.dataDirectory = dataDirectory }
}

/// What a probe came to.
public struct ProbeResult: Sendable {
  public var report: ProbeReport
  public var release: ReleaseReport
  /// The cluster's folder in the repository where the series is kept now; nil where it is not.
  public var keptIn: FilePath?
  /// What else somebody should know.
  public var notes: [String] = []
  /// When how much is written, from all that is kept and this probe; nil where nobody counted.
  public var hours: HourlyRates?
}

/// Decides what a probe would do, and changes nothing.
public func planProbe(
  _ request: ProbeRequest, with provider: some SnapshotProvider, _ observer: any Observer,
  discovery: LayoutDiscovery? = nil
) throws -> ProbePlan {
  let run = Run(observer)
  let discovery = try discovery ?? .current()
  let cluster = try run.phase(.discover, failsAs: .precondition) {
    try LiveCluster.discover(request.dataDirectory, discovery)
  }
  return try run.phase(.plan, failsAs: .precondition) {
    try ProbePlan.make(for: request, of: cluster, discovery, with: provider)
  }
}

/// Finds out how large the snapshots of a cluster have to be:
/// discover ─▶ plan ─▶ freeze ─▶ watch ─▶ release ─▶ recommend. Where a run that copies holds the volumes, its
/// snapshots are watched instead: plan ─▶ watch ─▶ recommend.
///
/// - Parameter cancellation: orders it to stop; while it watches, that ends it early, with what was seen.
/// - Throws: `StillError` with the phase that failed. Nothing is left then.
public func probe(
  _ request: ProbeRequest, with provider: some SnapshotProvider, _ observer: any Observer,
  _ cancellation: Cancellation, discovery: LayoutDiscovery? = nil
) throws -> ProbeResult {
  let run = Run(observer, cancellation)
  let discovery = try discovery ?? .current()
  let cluster = try run.phase(.discover, request.dataDirectory.string, failsAs: .precondition) {
    try LiveCluster.discover(request.dataDirectory, discovery)
  }
  let (plan, history) = try run.phase(.plan, failsAs: .precondition) {
    let plan = try ProbePlan.make(for: request, of: cluster, discovery, with: provider)
    // Now, for nobody wants to hear after a day that there is no place for it.
    return (plan, try request.historyForWriting(of: cluster))
  }
  let watch = ProbeWatch(
    plan: plan, cluster: cluster, sysfs: discovery.sysfs, provider: provider, run: run)
  guard !plan.volumes.isEmpty else {
    let seen = try run.phase(.watch, plan.watched, failsAs: .postgres) { try watch.run(nil, []) }
    return ProbeResult(
      seen.report(of: plan, []), ReleaseReport(), of: cluster, keptIn: history)
  }
  let facts = try provider.survey(plan.volumes.map(\.origin))
  if let joined = plan.joined {
    let set = JoinedSet(joined: joined, origins: plan.volumes.map(\.origin), provider: provider)
    let seen = try run.phase(.watch, "the snapshots of run \(joined.run)", failsAs: .volumes) {
      try watch.join(set)
    }
    return ProbeResult(
      seen.report(of: plan, facts), ReleaseReport(), of: cluster, keptIn: history)
  }
  // The one right before the freeze is short then: as long as it lasts, nobody hears that a copy needs the volumes.
  try phase("asking for a checkpoint", failsAs: .postgres) {
    try cluster.checkpoint(run.cancellation)
  }
  try provider.giveWay()
  let (seen, release) = try withFrozenSet(
    plan.freezeOrder(request), of: cluster, with: provider, run
  ) { frozen in
    try run.phase(.watch, plan.watched, failsAs: .volumes) {
      try watch.run(frozen, facts)
    }
  }
  return ProbeResult(seen.report(of: plan, facts), release, of: cluster, keptIn: history)
}

extension ProbeResult {
  /// Keeps the series where there is a place for it. A probe that cannot keep it has seen no less.
  fileprivate init(
    _ report: ProbeReport, _ release: ReleaseReport, of cluster: LiveCluster,
    keptIn history: HistoryFolder?
  ) {
    self.init(report: report, release: release)
    let seen = HourlyRates.Series(report)
    guard let history else {
      hours = WriteHistory.rates([seen])
      return
    }
    let identifier = cluster.facts.systemIdentifier
    do {
      try history.keep(
        HistoryRecord(probe: report, cluster: history.cluster.name, systemIdentifier: identifier))
      keptIn = history.cluster.path
    } catch {
      let reason = (error as? StillError)?.message ?? "\(error)"
      notes.append("what was seen is not kept in \(history.path): \(reason)")
    }
    hours = WriteHistory.rates(
      of: history.cluster, history.cluster.newestRecords(WriteHistory.runs),
      also: keptIn == nil ? [seen] : [])
  }
}

extension ProbeRequest {
  /// Where the series is going to be kept; nil where no repository was named.
  ///
  /// - Throws: `.precondition` where it could not be.
  fileprivate func historyForWriting(of cluster: LiveCluster) throws -> HistoryFolder? {
    try repository.map {
      try Repository.openForWriting($0).clusterForWriting(self.cluster ?? cluster.standardName)
        .historyForWriting()
    }
  }
}

extension ProbePlan {
  fileprivate func freezeOrder(_ request: ProbeRequest) -> FreezeOrder {
    FreezeOrder(
      id: id, layout: layout, volumes: volumes, extending: request.extending,
      deadline: request.freezeDeadline, wayWithout: "a shorter --duration")
  }

  /// What is watched, in a word.
  fileprivate var watched: String {
    volumes.isEmpty ? "what is written" : "\(volumes.count) volumes"
  }
}
