import StillModel
import StillPostgres
import StillSystem
import StillVolumes
import SystemPackage

/// Watches the volumes of a cluster while the server works, and copies nothing.
///
/// What the server has changed reaches the disk when it likes: so checkpoints are asked for, and what is in the page
/// cache is written. A backup begins with one, too.
struct ProbeWatch {
  /// What was seen.
  struct Seen {
    var samples: [ProbeSample] = []
    var ending = ProbeReport.Ending.complete
    /// Of the stores that ran full, or were about to, in bytes.
    var filled: [VolumeName: UInt64] = [:]
    var kinds: [SnapshotKind] = []
    var chunks: [OverwrittenChunks?] = []
    var pace: ServerPace
    /// What the server counts as written, in bytes.
    var serverBytes: UInt64?
    /// When the first look was.
    var began: CalendarTime
    var extensions: [BackupRecord.Extension] = []

    func report(of plan: ProbePlan, _ facts: [VolumeFacts]) -> ProbeReport {
      var report = plan.report(
        samples, ending, kinds: kinds, facts, chunks, pace, filled: filled,
        serverBytes: serverBytes)
      report.began = began
      report.extensions = extensions
      return report
    }
  }

  let plan: ProbePlan
  let cluster: LiveCluster
  let sysfs: FilePath
  let provider: any SnapshotProvider
  let run: Run

  /// - Parameters:
  ///   - frozen: nil where nothing could be.
  ///   - facts: of the volumes that are, in their order.
  func run(_ frozen: FrozenSet?, _ facts: [VolumeFacts]) throws -> Seen {
    var seen = Seen(pace: try paceNow(), began: Clock.now())
    seen.kinds = frozen?.snapshots.map(\.kind) ?? []
    if frozen == nil { try flush() }
    let asksServer = plan.unfrozen.contains { !$0.isCounted }
    let serverBytes = try asksServer ? cluster.session.bytesWritten() : 0
    let whole = zip(plan.volumes, facts).filter { $0.snapshotSize >= SizingBasis.most(for: $1) }
    let early = try frozen.map {
      try EarlyEnd($0.watch, holdingAllOf: Set(whole.map(\.0.origin)), run.cancellation)
    }
    var looks = try Looks(self, frozen)
    seen.began = Clock.now()
    do {
      try watch(frozen, &looks)
    } catch {
      guard let ending = try self.ending(error, early, hasLooked: looks.samples.count > 1) else {
        throw error
      }
      seen.ending = ending
      seen.filled = filled(ending, frozen)
    }
    early?.end()
    seen.samples = looks.samples
    seen.extensions = frozen?.watch.extensions ?? []
    if asksServer {
      // The processes of the server tell what they have written a moment later.
      Clock.sleep(milliseconds: 1500)
      let bytes = try? cluster.session.bytesWritten()
      seen.serverBytes = bytes.map { $0 > serverBytes ? $0 - serverBytes : 0 }
    }
    // Where one overflowed, or is about to, nobody reads its list any more, and nobody waits for one after a signal.
    if frozen != nil, seen.ending == .complete {
      seen.chunks = (try? provider.overwritten()) ?? []
    }
    seen.chunks += Array(repeating: nil, count: plan.volumes.count - seen.chunks.count)
    return seen
  }

  /// What ends a probe early, with what it has seen; nil for a failure of all of it.
  func ending(
    _ error: any Error, _ early: EarlyEnd?, hasLooked: Bool
  ) throws -> ProbeReport.Ending? {
    if let origin = early?.origin { return .full(origin: origin) }
    guard let failure = error as? StillError else { return nil }
    if failure.status == .busy { return .gaveWay }
    if failure.status == .overflow { return .overflow(message: failure.message) }
    if let signal = run.cancellation.signal { return .signal(number: signal) }
    // A server that went away, or did not answer in time, takes nothing back of what was seen.
    return failure.status == .postgres && hasLooked ? .failed(message: failure.message) : nil
  }

  /// The sizes of the stores that were too small, in bytes.
  private func filled(
    _ ending: ProbeReport.Ending, _ frozen: FrozenSet?
  ) -> [VolumeName: UInt64] {
    let origins: [VolumeName]
    switch ending {
    case .full(let origin): origins = [origin]
    case .overflow:
      origins = ((try? provider.fill()) ?? []).filter { $0.state == .invalid }.map(\.origin)
    case .complete, .signal, .failed, .gaveWay, .released: origins = []
    }
    return Dictionary(uniqueKeysWithValues: origins.map { ($0, frozen?.watch.size(of: $0) ?? 0) })
  }

  private func watch(_ frozen: FrozenSet?, _ looks: inout Looks) throws {
    TestHooks.reached("watching")
    var next = plan.interval
    for share in ProbePlan.checkpoints {
      let end = plan.duration * share
      while looks.clock.seconds < end {
        try rest(until: min(next, end), looks.clock)
        try looks.look()
        run.meter.watched(seconds: looks.clock.seconds, of: plan.duration)
        while next <= looks.clock.seconds { next += plan.interval }
      }
      let begun = looks.clock.seconds
      try flush()
      try looks.look(flushedFrom: begun)
    }
  }

  /// Brings everything that was changed to the disks.
  private func flush() throws {
    try cluster.checkpoint(run.cancellation)
    try cluster.layout.syncFileSystems(run.cancellation)
  }

  func rest(until moment: Double, _ clock: Stopwatch) throws {
    while true {
      try run.cancellation.checkpoint()
      let left = moment - clock.seconds
      guard left > 0 else { return }
      Clock.sleep(milliseconds: UInt32(max(1, min(left * 1000, 50))))
    }
  }

  /// The server's settings, and the segments that it has.
  func paceNow() throws -> ServerPace {
    var pace = plan.pace
    let position = try cluster.session.flushLSN()
    let size = UInt32(pace.segmentSize)
    let names = try OpenFolder.open(FilePath(cluster.layout.wal.path)).names()
    let segments = names.compactMap { WALSegmentName($0.string, size: size) }
    pace.segments = UInt64(segments.count) * pace.segmentSize
    let end = segments.map(\.end).max() ?? position
    pace.spare = end > position ? end.position - position.position : 0
    return pace
  }

  /// The looks so far, all counted from the first one.
  private struct Looks {
    let clock = Stopwatch()
    var samples: [ProbeSample] = []
    private let watch: ProbeWatch
    private let frozen: FrozenSet?
    private let position: LSN
    private let written: [UInt64?]
    private var trends: [FillTrend]
    private let pools: [UInt64]

    init(_ watch: ProbeWatch, _ frozen: FrozenSet?) throws {
      self.watch = watch
      self.frozen = frozen
      position = try watch.cluster.session.flushLSN()
      written = watch.written()
      trends = try frozen?.watch.look() ?? []
      pools = trends.map { $0.fill.metadata == nil ? 0 : $0.fill.used }
      try look()
    }

    /// - Throws: `.overflow` where a snapshot is no longer valid; the reason to stop, where one was given.
    mutating func look(flushedFrom: Double? = nil) throws {
      try watch.run.cancellation.checkpoint()
      trends = try frozen?.watch.look() ?? []
      let seconds = samples.isEmpty ? 0 : clock.seconds
      let flushed = try watch.cluster.session.flushLSN()
      samples.append(
        ProbeSample(
          seconds: seconds,
          wal: flushed > position ? flushed.position - position.position : 0,
          used: zip(trends, pools).map { $0.fill.used > $1 ? $0.fill.used - $1 : 0 },
          written: zip(watch.written(), written).map { now, before in
            guard let now, let before else { return nil }
            return now > before ? now - before : 0
          }, flushedFrom: flushedFrom))
    }
  }

  /// Bytes written to each file system since the machine started.
  private func written() -> [UInt64?] {
    plan.fileSystems.map { BlockDevices.bytesWritten(to: $0.device, sysfs: sysfs) }
  }
}
