import StillModel
import StillPostgres
import StillSystem
import StillVolumes
import SystemPackage

extension ProbePlan {
  /// Decides everything that a probe does. Changes nothing.
  static func make(
    for request: ProbeRequest, of cluster: LiveCluster, _ discovery: LayoutDiscovery,
    with provider: some SnapshotProvider
  ) throws -> ProbePlan {
    let name = request.cluster ?? cluster.standardName
    let earlier = try request.repository.flatMap { path -> ClusterFolder? in
      try cluster.requireOutside(path)
      try Repository.requireWritable(path)
      // There may be no backup of it yet.
      return try? Repository.open(path).cluster(name)
    }
    try earlier?.requireBackups(of: cluster.facts.systemIdentifier)
    let set = try JoinedSet.find(of: cluster.layout, with: provider)
    let freezable =
      try set == nil
      ? Freezable(
        cluster.layout, size: request.snapshotSize, FillHistory(of: earlier), destination: nil,
        with: provider) : Freezable()
    let volumes =
      try set.map { try Joined.volumes(of: $0, cluster.layout, with: provider) }
      ?? freezable.volumes
    let frozen = Set(volumes.map(\.fileSystem.device))
    let others = cluster.layout.fileSystems.filter { !frozen.contains($0.device) }
    return ProbePlan(
      id: RunID(at: Clock.now()), dataDirectory: request.dataDirectory.string,
      layout: cluster.layout, volumes: volumes,
      unfrozen: others.map {
        Unfrozen(
          fileSystem: $0,
          isCounted: BlockDevices.bytesWritten(to: $0.device, sysfs: discovery.sysfs) != nil)
      },
      advice: freezable.obstacles.map { failure in
        failure.hint.map { "\(failure.message). \($0)" } ?? failure.message
      },
      duration: request.duration, interval: request.interval,
      copyTime: try copyTime(request, cluster, earlier), safety: request.safety,
      chunkSizes: request.chunkSizes,
      pace: try cluster.session.pace(), joined: set.flatMap { Joined($0) },
      keptIn: request.repository?.appending(name).string)
  }

  /// The longest of so many of the latest copies counts.
  private static let nights = 7

  private static func copyTime(
    _ request: ProbeRequest, _ cluster: LiveCluster, _ earlier: ClusterFolder?
  ) throws -> CopyTime {
    if let seconds = request.copyTime {
      return CopyTime(seconds: seconds, reason: "--copy-time")
    }
    let latest = ((try? earlier?.backups()) ?? []).reversed().prefix(nights)
    let copies = latest.compactMap { id in
      (try? earlier?.backup(id.description).record()).flatMap(snapshotSeconds)
    }
    if let longest = copies.max() {
      return CopyTime(
        seconds: max(longest.rounded(.up), 1),
        reason: copies.count == 1
          ? "as the last backup took" : "the longest of the last \(copies.count) backups")
    }
    return try TrialRead(of: cluster).copyTime(of: cluster)
  }

  /// For how long a backup held its snapshots, which of a mirror is longer than the copy; nil for none.
  private static func snapshotSeconds(_ record: BackupRecord) -> Double? {
    let seconds = record.fillHistory.last?.seconds ?? record.seconds(of: Phase.copy.rawValue)
    return seconds > 0 ? seconds : nil
  }
}
