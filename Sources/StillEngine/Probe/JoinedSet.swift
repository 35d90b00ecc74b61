import StillModel
import StillSystem
import StillVolumes

/// The snapshots of a run that copies: a probe looks at how they fill, and leaves them alone.
struct JoinedSet {
  let joined: ProbePlan.Joined
  let origins: [VolumeName]
  let provider: any SnapshotProvider
  /// Seconds from its freeze until this was made.
  private let ageBefore: Double
  private let clock = Stopwatch()

  init(joined: ProbePlan.Joined, origins: [VolumeName], provider: any SnapshotProvider) {
    self.joined = joined
    self.origins = origins
    self.provider = provider
    ageBefore = max(0, Double(Clock.wall() / 1000 - joined.frozenMicroseconds) / 1_000_000)
  }

  /// The set of a run at work that holds all of the cluster; nil where nobody is at work on it.
  ///
  /// - Throws: `.busy` where somebody is, and cannot be joined. A probe without snapshots would ask for checkpoints,
  ///   and fill those of the other run.
  static func find(of layout: ClusterLayout, with provider: some SnapshotProvider) throws
    -> HeldSet?
  {
    let origins = layout.fileSystems.map(\.volume)
    let carried = origins.compactMap { $0 }
    guard !carried.isEmpty, let sets = try? provider.held() else { return nil }
    let atWork = sets.filter { $0.isAlive && $0.origins.contains(where: carried.contains) }
    let joinable = atWork.first { set in
      set.frozenMicroseconds != nil
        // A thin one is in a pool that had grown before, nobody knows by how much.
        && set.snapshots.allSatisfy { $0.kind == .classic && $0.fill?.state == .valid }
        && origins.allSatisfy { origin in
          origin != nil && set.snapshots.contains { $0.origin == origin }
        }
    }
    if joinable == nil, let other = atWork.first {
      throw StillError(
        .busy, "run \(other.run) is at work on the cluster's volumes, and cannot be joined",
        hint: other.frozenMicroseconds == nil
          ? "It has not frozen them yet: probe again in a moment."
          : "Only classic snapshots of all the cluster's volumes can; wait for it to end (pgstill status)."
      )
    }
    return joinable
  }

  /// Seconds since its freeze, also where somebody sets the clock meanwhile.
  var age: Double { ageBefore + clock.seconds }

  /// How full each is, in the order of the volumes; nil where the run has let go of them.
  ///
  /// - Throws: `.overflow` where one has overflowed: that ends the other run, too.
  func look() throws -> [SnapshotFill]? {
    guard
      let set = try provider.held().first(where: {
        $0.run == joined.run && $0.isAlive && $0.frozenMicroseconds == joined.frozenMicroseconds
      })
    else { return nil }
    let fills = origins.compactMap { origin in
      set.snapshots.first { $0.origin == origin }?.fill
    }
    guard fills.count == origins.count else { return nil }
    if let full = fills.first(where: { $0.state == .invalid }) {
      throw StillError(.overflow, "snapshot \(full.snapshot) of run \(joined.run) overflowed")
    }
    return fills
  }
}

extension ProbePlan.Joined {
  init?(_ set: HeldSet) {
    guard let moment = set.frozenMicroseconds else { return nil }
    self.init(run: set.run, frozenMicroseconds: moment)
  }

  /// The volumes of the cluster with the stores that the other run gave them. What these take is free again
  /// when it is done.
  static func volumes(
    of set: HeldSet, _ layout: ClusterLayout, with provider: some SnapshotProvider
  ) throws -> [BackupPlan.Volume] {
    let carried = layout.fileSystems.filter { $0.volume != nil }
    let facts = try provider.survey(carried.compactMap(\.volume))
    return zip(carried, facts).map { fileSystem, facts in
      let inGroup = set.snapshots.filter { $0.name.group == facts.name.group }
      return BackupPlan.Volume(
        origin: facts.name, size: facts.size,
        snapshotSize: set.snapshots.first { $0.origin == facts.name }?.size ?? 0,
        sizeReason: "as run \(set.run) has it",
        groupFree: facts.groupFree + inGroup.reduce(0) { $0 + $1.size }, fileSystem: fileSystem)
    }
  }
}

extension ProbeWatch {
  /// Every look asks LVM, which reads all volumes.
  private static let shortestInterval = 2.0

  /// Watches until the time is over, or the other run has let go. Asks for no checkpoint: it would fill the
  /// snapshots of a copy that somebody needs.
  func join(_ set: JoinedSet) throws -> Seen {
    let freeze = CalendarTime(secondsSince1970: set.joined.frozenMicroseconds / 1_000_000)
    var seen = Seen(pace: try paceNow(), began: freeze)
    seen.kinds = plan.volumes.map { _ in .classic }
    seen.chunks = plan.volumes.map { _ in nil }
    let position = try cluster.session.flushLSN()
    let unknown = plan.volumes.map { _ in UInt64?.none }
    var samples: [ProbeSample] = []
    let clock = Stopwatch()
    let interval = max(plan.interval, ProbeWatch.shortestInterval)
    do {
      TestHooks.reached("watching")
      while true {
        try run.cancellation.checkpoint()
        guard let fills = try set.look() else {
          seen.ending = .released(run: set.joined.run)
          break
        }
        let flushed = try cluster.session.flushLSN()
        samples.append(
          ProbeSample(
            seconds: set.age, wal: flushed > position ? flushed.position - position.position : 0,
            used: fills.map(\.used), written: unknown))
        run.meter.watched(seconds: clock.seconds, of: plan.duration)
        guard clock.seconds < plan.duration else { break }
        try rest(until: min(clock.seconds + interval, plan.duration), clock)
      }
    } catch {
      // What was seen is right, whatever ended it.
      guard !samples.isEmpty, let failure = error as? StillError else { throw error }
      let isOther = failure.status == .busy
      seen.ending =
        try (isOther ? nil : ending(error, nil, hasLooked: true))
        ?? .failed(message: failure.message)
    }
    guard !samples.isEmpty else {
      throw StillError(
        .busy, "run \(set.joined.run) has let go of the volumes before anything was seen",
        hint: "Probe again.")
    }
    seen.samples = ProbeSample.sinceFreeze(samples)
    return seen
  }
}

extension ProbeSample {
  /// Looks that began some time after the freeze, with the freeze before them: everything was on the disk
  /// then. What the server had logged until the first look is taken to be as much a second as after it.
  static func sinceFreeze(_ looks: [ProbeSample]) -> [ProbeSample] {
    guard let first = looks.first, let last = looks.last else { return [] }
    let seconds = last.seconds - first.seconds
    let rate = seconds > 0 ? Double(last.wal) / seconds : 0
    let before = UInt64(rate * first.seconds)
    let freeze = ProbeSample(
      seconds: 0, wal: 0, used: first.used.map { _ in 0 }, written: first.written)
    return [freeze]
      + looks.map { look in
        var look = look
        look.wal += before
        return look
      }
  }
}
