/// What the snapshot of one volume will need for a copy that takes some time, from a probe of it.
///
/// The parts are projected apart. WAL is on the disk at once (`WALGrowth`), and costs no more than all its
/// segments, for they are written over. Everything else (`GrowthModel`) reaches the disk when the server
/// evicts a page or at a checkpoint; the probe forces checkpoints, so that it sees what was changed, and not
/// only what happened to be written. A copy sees what checkpoints bring until its end, so:
///
/// - `expected` counts what is evicted in the share that the probe saw, and for the rest what the last
///   checkpoint that begins before the copy ends will have written by then, spread as
///   `checkpoint_completion_target` says;
/// - `likely` counts everything that was changed as written, for anybody may force a checkpoint at any
///   moment: what 95 % of the weight of the curves does not exceed, and a tenth more, for no two nights are
///   the same. Whole new segments of WAL where those that are there will not do.
public struct SizeProjection: Hashable, Sendable, Codable {
  public static let confidence = 0.95
  /// What one run of the same load may be above another one.
  private static let otherRun = 1.1

  /// How long the copy takes, in seconds.
  public var seconds: Double
  /// What the probe itself saw, in bytes.
  public var seen: UInt64
  /// In bytes.
  public var expected: UInt64
  /// What it will not exceed with 95 % confidence, in bytes.
  public var likely: UInt64
  /// The size to make the store, in bytes: `likely`, and no less than what is expected with what was not seen of
  /// it `safety` times, or a quarter more for each time where all of it was seen. Of WAL, no more than
  /// all its segments.
  public var recommended: UInt64
  /// True where the probe ended before its first checkpoint, and knows nothing of what was still in memory.
  public var isRough: Bool

  /// - Parameters:
  ///   - samples: of the whole probe, the first at the freeze.
  ///   - index: of the volume in them.
  ///   - carriesWAL: whether `pg_wal` is on it.
  ///   - seconds: that the copy takes.
  ///   - safety: 2 for the doubling of the books.
  public init(
    _ samples: [ProbeSample], volume index: Int, carriesWAL: Bool, _ pace: ServerPace,
    seconds: Double, safety: Double
  ) {
    let used = samples.map { Double(index < $0.used.count ? $0.used[index] : 0) }
    let wal = WALGrowth(
      samples.map { .init(seconds: $0.seconds, bytes: Double($0.wal)) },
      checkpoints: samples.compactMap(\.flushedFrom), pace)
    // Segments that are recycled within the probe count once.
    let log = samples.map { sample in
      carriesWAL ? Double(min(sample.wal, max(pace.segments, pace.segmentSize))) : 0
    }
    // What the snapshot holds from the first moment (its header, what mounting XFS writes) does not grow.
    let base = used.first ?? 0
    let rest = zip(used, log).map { max(0, $0 - base - $1) }
    let (marks, evicted) = SizeProjection.marks(samples, rest)
    let model = GrowthModel(marks)
    isRough = !samples.contains { $0.flushedFrom != nil }

    let written = SizeProjection.reach(seconds, cycle: wal.cycle, pace, model)
    let changed = evicted * model.expected(at: seconds) + (1 - evicted) * written
    let most = carriesWAL ? Double(pace.mostSegments) : 0
    let logged = min(wal.expected(at: seconds), most)
    let seen = used.last ?? 0

    let expected = base + changed + logged
    let likely = max(
      base + model.quantile(SizeProjection.confidence, at: seconds) * SizeProjection.otherRun
        + min(
          SizeProjection.withNewSegments(
            wal.quantile(SizeProjection.confidence, at: seconds) * SizeProjection.otherRun, pace),
          most),
      expected, SizeProjection.mostWithin(seconds, samples, used))
    let safe =
      base + SizeProjection.with(safety, changed, seen: rest.last ?? 0)
      + min(SizeProjection.with(safety, logged, seen: log.last ?? 0), most)

    self.seconds = seconds
    self.seen = SizeProjection.bytes(seen)
    self.expected = SizeProjection.bytes(expected)
    self.likely = SizeProjection.bytes(likely)
    recommended = SizeProjection.bytes(max(likely, safe))
  }

  private static func with(_ safety: Double, _ expected: Double, seen: Double) -> Double {
    expected + max(0, safety - 1) * max(expected - seen, expected / 4)
  }

  private static func bytes(_ number: Double) -> UInt64 { UInt64(min(number, 1e18)) }

  /// What had been changed at each checkpoint, and which share of it had reached the disk before.
  private static func marks(
    _ samples: [ProbeSample], _ rest: [Double]
  ) -> (marks: [GrowthModel.Mark], evicted: Double) {
    var marks: [GrowthModel.Mark] = []
    var (before, grown, level) = (0.0, 0.0, 0.0)
    for (index, sample) in samples.enumerated() {
      guard let seconds = sample.flushedFrom, seconds > marks.last?.seconds ?? 0, index > 0 else {
        continue
      }
      before += max(0, rest[index - 1] - level)
      grown += max(0, rest[index] - level)
      level = max(level, rest[index])
      marks.append(.init(seconds: seconds, bytes: level))
    }
    guard marks.isEmpty else { return (marks, grown > 0 ? min(1, before / grown) : 0) }
    guard let last = samples.last, last.seconds > 0 else { return ([], 1) }
    return ([.init(seconds: last.seconds, bytes: rest.last ?? 0)], 1)
  }

  /// What checkpoints will have written, in bytes.
  private static func reach(
    _ seconds: Double, cycle: Double, _ pace: ServerPace, _ model: GrowthModel
  ) -> Double {
    guard cycle > 0 else { return model.expected(at: seconds) }
    let begun = (seconds / cycle).rounded(.up) - 1
    guard begun > 0 else { return 0 }
    let whole = begun > 1 ? model.expected(at: (begun - 1) * cycle) : 0
    let share = min(1, (seconds - begun * cycle) / max(pace.completionTarget * cycle, 1))
    return whole + share * (model.expected(at: begun * cycle) - whole)
  }

  /// A new segment is filled with zeros when it is made, and made ahead of time.
  private static func withNewSegments(_ bytes: Double, _ pace: ServerPace) -> Double {
    guard bytes > Double(pace.spare), pace.segmentSize > 0 else { return bytes }
    let size = Double(pace.segmentSize)
    return ((bytes / size).rounded(.up) + 1) * size
  }

  /// The most that was seen in so many seconds, or in the whole probe where that was shorter.
  private static func mostWithin(
    _ seconds: Double, _ samples: [ProbeSample], _ used: [Double]
  ) -> Double {
    var most = 0.0
    var first = 0
    for (index, sample) in samples.enumerated() {
      while samples[first].seconds < sample.seconds - seconds { first += 1 }
      most = max(most, used[index] - (first > 0 ? used[first - 1] : 0))
    }
    return most
  }
}
