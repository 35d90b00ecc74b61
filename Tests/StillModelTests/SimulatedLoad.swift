import Glibc

@testable import StillModel

/// Numbers that are the same in every run: splitmix64.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }

  mutating func share() -> Double { Double.random(in: 0..<1, using: &self) }

  /// Of the normal distribution.
  mutating func normal() -> Double {
    sqrt(-2 * log(max(share(), 1e-12))) * cos(2 * .pi * share())
  }

  /// Between two numbers, evenly in the logarithm.
  mutating func magnitude(_ low: Double, _ high: Double) -> Double {
    exp(log(low) + share() * (log(high) - log(low)))
  }
}

/// A server that changes pages, second by second: which of them are changed for the first time, what that
/// costs in WAL, and when checkpoints bring it to the disk.
struct SimulatedLoad {
  enum Kind: String, CaseIterable { case uniform, hotSet, insert, idle }

  static let page = 8192.0

  let kind: Kind
  /// Pages that are changed again and again.
  var pages = 0.0
  /// Changes of them in a second.
  var changes = 0.0
  /// New pages in a second.
  var appended = 0.0
  /// 1 for a server that evicts whatever it changes, 0 for one that keeps it until a checkpoint.
  var evicted = 0.0
  var pace: ServerPace

  init(_ kind: Kind, _ random: inout SeededGenerator) {
    self.kind = kind
    pace = ServerPace(
      checkpointSeconds: 300, completionTarget: 0.9,
      mostWAL: random.share() < 0.5 ? 96 << 20 : 1 << 30, keptWAL: 0, segmentSize: 16 << 20)
    // Such a pool has been written through long ago.
    pace.segments = pace.mostWAL
    pace.spare = pace.mostWAL
    evicted = random.share() < 0.5 ? 0 : random.share()
    switch kind {
    case .uniform:
      pages = random.magnitude(2000, 300_000)
      changes = pages * random.magnitude(0.1, 6) / 120
      appended = random.share() * 3
    case .hotSet:
      pages = random.magnitude(200, 30_000)
      changes = pages / (2 + 58 * random.share())
      appended = random.share() * pages / 300
    case .insert:
      (pages, changes) = (50, 10)
      appended = random.magnitude(5, 2000)
    case .idle: (pages, changes, appended) = (40, 0.3, 0.05)
    }
  }

  /// What has happened by each second, the first one being the freeze.
  struct Course {
    var changed: [Double] = [0]
    var wal: [Double] = [0]
    var checkpoints: [Int] = []
  }

  /// - Parameter forced: seconds at which somebody asks for a checkpoint.
  func run(_ seconds: Int, forced: Set<Int> = [], _ random: inout SeededGenerator) -> Course {
    var course = Course()
    // No two runs of a load are equally fast, and none is even.
    let run = exp(random.normal() * 0.07)
    var breath = 0.0
    var (seen, sinceCheckpoint, new) = (0.0, 0.0, 0.0)
    var (lastSecond, lastWAL) = (0, 0.0)
    for second in 1...seconds {
      breath = 0.95 * breath + sqrt(1 - 0.95 * 0.95) * random.normal() * 0.25
      let pacing = run * exp(breath - 0.03)
      let changes = self.changes * pacing
      let hit = 1 - pow(1 - 1 / pages, changes)
      func drawn(_ count: Double) -> Double {
        let mean = max(0, count) * hit
        return min(max(0, count), max(0, mean + sqrt(mean * (1 - hit)) * random.normal()))
      }
      let fresh = drawn(pages - sinceCheckpoint)
      seen += drawn(pages - seen)
      sinceCheckpoint += fresh
      new += appended * pacing
      course.changed.append((seen + new) * SimulatedLoad.page)
      course.wal.append(
        course.wal[second - 1] + changes * 150 + fresh * 8000
          + appended * pacing * SimulatedLoad.page * 1.05)
      if forced.contains(second) || Double(second - lastSecond) >= pace.checkpointSeconds
        || course.wal[second] - lastWAL >= pace.walBetweenCheckpoints
      {
        course.checkpoints.append(second)
        (lastSecond, lastWAL, sinceCheckpoint) = (second, course.wal[second], 0)
      }
    }
    return course
  }

  /// What a snapshot of a volume with everything on it holds at the end of a copy, in bytes.
  func need(of course: Course) -> Double {
    let end = course.changed.count - 1
    var reached = 0.0
    var before = 0
    for (index, second) in course.checkpoints.enumerated() {
      let next = index + 1 < course.checkpoints.count ? course.checkpoints[index + 1] : end
      let length = Double(max(second - before, 1)) * pace.completionTarget
      let share = next == end ? min(1, Double(end - second) / length) : 1
      reached += share * max(0, course.changed[second] - reached)
      before = second
    }
    return evicted * course.changed[end] + (1 - evicted) * reached
      + min(course.wal[end], Double(pace.mostWAL))
  }

  /// What a probe sees of it that forces checkpoints.
  func probe(_ seconds: Int, _ random: inout SeededGenerator) -> [ProbeSample] {
    let forced = Set(ProbePlan.checkpoints.map { Int(Double(seconds) * $0) })
    let course = run(seconds, forced: forced, &random)
    var reached = 0.0
    return course.changed.indices.map { second in
      let isFlushed = forced.contains(second)
      if isFlushed { reached = course.changed[second] }
      let onDisk = isFlushed ? reached : reached + evicted * (course.changed[second] - reached)
      let wal = course.wal[second]
      return ProbeSample(
        seconds: Double(second), wal: UInt64(wal),
        used: [UInt64(onDisk + min(wal, Double(pace.mostWAL)))], written: [nil],
        flushedFrom: isFlushed ? Double(second) : nil)
    }
  }
}
