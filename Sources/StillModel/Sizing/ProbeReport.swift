/// What a probe saw, and what it recommends.
public struct ProbeReport: Hashable, Sendable, Codable {
  public enum Ending: Hashable, Sendable, Codable {
    /// It saw what it was to see.
    case complete
    case signal(number: Int32)
    /// The snapshot of this origin was about to run full, or its pool.
    case full(origin: VolumeName)
    /// A snapshot ran full before that could be helped; what was seen until then is right.
    case overflow(message: String)
    /// The run whose snapshots were watched has let go of them.
    case released(run: RunID)
    /// Somebody wanted to copy the volumes.
    case gaveWay
    /// The server could not be asked any more; what was seen until then is right.
    case failed(message: String)
  }

  /// What was seen of a volume that was snapshotted.
  public struct Volume: Hashable, Sendable, Codable {
    public var origin: VolumeName
    public var kind: SnapshotKind
    /// What the snapshot's store took at the end, or by how much its pool had grown, in bytes.
    public var used: UInt64
    /// Bytes written to the origin in the same time; nil where nobody counted.
    public var written: UInt64?
    public var rates: MinuteRates
    /// What its store would take with other chunks; empty where nobody keeps a list of them.
    public var chunkCosts: [ChunkCost]
    public var need: SizeProjection
    /// The size to make its store, in bytes: whole extents. Of a thin volume, what its pool has to have free.
    public var recommended: UInt64
    /// What its store could ever need, in bytes.
    public var largest: UInt64
    /// What is free for it in the volume group or the pool, in bytes.
    public var free: UInt64
    /// The size of the probe's own store, in bytes, where that was too small.
    public var filled: UInt64?

    /// How often, on average, a chunk was written that was written at all.
    public var rewriteFactor: Double? {
      // Mounting a snapshot of XFS writes to the snapshot, and not to the origin.
      guard let written, written >= used, used > 0 else { return nil }
      return Double(written) / Double(used)
    }
  }

  /// What was written to a file system that was not snapshotted: no snapshot of it would have taken more.
  public struct Bound: Hashable, Sendable, Codable {
    public var mountPoint: String
    /// Whose figures these are: the kernel's of a device, or the server's of the whole cluster.
    public var source: String
    /// In bytes.
    public var written: UInt64
    /// The same for as long as the copy takes, in bytes.
    public var most: UInt64
  }

  public var plan: ProbePlan
  /// Seconds from the first look to the last.
  public var watched: Double
  public var ending: Ending
  public var volumes: [Volume]
  public var bounds: [Bound]
  public var samples: [ProbeSample]
  /// When the first look was.
  public var began: CalendarTime?
  /// Of the probe's own snapshots.
  public var extensions: [BackupRecord.Extension]?

  public init(
    plan: ProbePlan, watched: Double, ending: Ending, volumes: [Volume], bounds: [Bound],
    samples: [ProbeSample], began: CalendarTime? = nil,
    extensions: [BackupRecord.Extension]? = nil
  ) {
    self.plan = plan
    self.watched = watched
    self.ending = ending
    self.volumes = volumes
    self.bounds = bounds
    self.samples = samples
    self.began = began
    self.extensions = extensions
  }
}

extension ProbeReport {
  /// What each snapshot of the next backup shall have, in bytes, rounded up as options are written: the most
  /// that any of them needs, and no less than `SnapshotSize.least`: a night may not be as idle as the probe was.
  /// Nil where no volume has a store of its own.
  public var snapshotSize: UInt64? {
    let sizes = volumes.filter { $0.kind == .classic }.map(\.recommended)
    return sizes.max().map { most in
      let size = max(most, SnapshotSize.least)
      return ByteCount.parse(ByteCount.option(size)) ?? size
    }
  }

  /// The volume groups that have less than the snapshots of all their volumes would take.
  public var tightGroups: [(group: String, needed: UInt64, free: UInt64)] {
    guard let snapshotSize else { return [] }
    let groups = Dictionary(grouping: volumes.filter { $0.kind == .classic }, by: \.origin.group)
    return groups.keys.sorted().compactMap { group in
      let members = groups[group] ?? []
      let needed = members.reduce(0) { $0 + min(snapshotSize, $1.largest) }
      let free = members.map(\.free).min() ?? 0
      return needed > free ? (group, needed, free) : nil
    }
  }

  /// The recommendation, in the words that somebody types tonight.
  public var sentence: String {
    let time = "a copy of \(Figures.duration(plan.copyTime.seconds)) (\(plan.copyTime.reason))"
    if let snapshotSize {
      let least = volumes.contains { $0.filled != nil } ? " at least" : ""
      return
        "for \(time), type\(least): pgstill backup --snapshot-size \(ByteCount.option(snapshotSize))"
    }
    if let thin = volumes.max(by: { $0.recommended < $1.recommended }) {
      return
        "for \(time), no size is to be chosen: the snapshots are thin, and their pool has to have "
        + "\(ByteCount.text(thin.recommended)) free; \(ByteCount.text(thin.free)) are"
    }
    return "no volume was snapshotted: for \(time) there are only upper bounds, of what is written"
  }

  /// What ended it early; nil where nothing did.
  public var earlyEnd: String? {
    switch ending {
    case .complete: nil
    case .signal(let number): "signal \(number)"
    case .released(let run): "run \(run) is done with its snapshots"
    case .gaveWay: "a copy needs the volumes now"
    case .full(let origin): "the snapshot of \(origin) was about to be full"
    case .overflow(let message), .failed(let message): message
    }
  }
}

extension ProbePlan {
  /// What the samples come to.
  ///
  /// - Parameters:
  ///   - facts: of the volumes, in their order.
  ///   - chunks: which were overwritten in each; nil where nobody knows.
  ///   - filled: the sizes of the probe's stores that were too small, in bytes.
  ///   - serverBytes: what the server has written by its own statistics; nil where it was not asked.
  public func report(
    _ samples: [ProbeSample], _ ending: ProbeReport.Ending, kinds: [SnapshotKind],
    _ facts: [VolumeFacts], _ chunks: [OverwrittenChunks?], _ pace: ServerPace,
    filled: [VolumeName: UInt64] = [:], serverBytes: UInt64?
  ) -> ProbeReport {
    let last = samples.last
    let watched = last?.seconds ?? 0
    let seen = volumes.indices.map { index in
      let volume = volumes[index]
      let need = SizeProjection(
        samples, volume: index, carriesWAL: carriesWAL(volume.fileSystem), pace,
        seconds: copyTime.seconds, safety: safety)
      // Of what was written at the end, its looks know nothing. A shorter copy takes its share of that.
      let ran = filled[volume.origin] ?? 0
      let share = min(1, copyTime.seconds / max(watched, 1))
      let wanted = max(need.recommended, UInt64(min(Double(ran) * share * max(safety, 1), 1e18)))
      let isThin = kinds[index] == .thin
      return ProbeReport.Volume(
        origin: volume.origin, kind: kinds[index], used: last?.used[index] ?? 0,
        written: last?.written[index] ?? nil,
        rates: MinuteRates(samples.map { ($0.seconds, $0.used[index]) }),
        chunkCosts: chunks[index]?.costs(inChunksOf: chunkSizes) ?? [], need: need,
        recommended: isThin
          ? wanted
          : min(
            SizingBasis.wholeExtents(max(wanted, 1), of: facts[index]),
            SizingBasis.most(for: facts[index])),
        largest: SizingBasis.most(for: facts[index]),
        free: isThin ? facts[index].pool?.free ?? 0 : volume.groupFree,
        filled: filled[volume.origin])
    }
    let bounds = unfrozen.enumerated().map { offset, place in
      let counted = last?.written[volumes.count + offset] ?? nil
      let written = counted ?? ((last?.wal ?? 0) + (serverBytes ?? 0))
      return ProbeReport.Bound(
        mountPoint: place.fileSystem.mountPoint,
        source: counted != nil
          ? "what the kernel counts as written to \(place.fileSystem.source), for chunks of 4 KiB"
          : "only roughly: the WAL and the pages that the server counts as written, of the whole cluster",
        written: written,
        most: UInt64(Double(written) / max(watched, 1) * copyTime.seconds * safety))
    }
    // The report has all that it was made from.
    var plan = self
    plan.pace = pace
    return ProbeReport(
      plan: plan, watched: watched, ending: ending, volumes: seen, bounds: bounds,
      samples: samples)
  }
}

extension ThinPool {
  /// In bytes.
  var free: UInt64 { UInt64(Double(size) * max(0, 1 - data)) }
}
