/// How much WAL a server writes in a given time, learnt from the longest stretch between two checkpoints.
///
/// After a checkpoint the first change of each page brings the whole page into the log
/// (`full_page_writes`), so the log grows fast first and then slower: pages that are met for the first time, and
/// records of every change. That is the form of `GrowthModel`. A checkpoint begins after
/// `checkpoint_timeout`, or earlier where the curve has reached what `max_wal_size` allows; after each of
/// them the curve begins anew.
struct WALGrowth {
  /// How much WAL there was some seconds after the freeze, in bytes.
  struct Mark: Hashable {
    var seconds: Double
    var bytes: Double
  }

  /// Into how many looks the stretch is divided.
  private static let parts = 8

  private var curve = GrowthModel([])
  private let pace: ServerPace
  /// Seconds from one checkpoint to the next while nobody forces one.
  private(set) var cycle = 0.0

  /// - Parameters:
  ///   - looks: in their order, the first at the freeze, which follows a checkpoint.
  ///   - checkpoints: when the others began, in seconds since the freeze.
  init(_ looks: [Mark], checkpoints: [Double], _ pace: ServerPace) {
    self.pace = pace
    let end = looks.last?.seconds ?? 0
    func bytes(at seconds: Double) -> Double { WALGrowth.bytes(at: seconds, looks) }
    let starts = [0] + checkpoints.filter { $0 < end }
    let ends = starts.dropFirst() + [end]
    let stretches = zip(starts, ends).filter { $1 - $0 > 0 }
    let usual = stretches.map { $1 - $0 }.max() ?? 0
    let whole = stretches.filter { $1 - $0 >= usual * 0.9 }
    guard !whole.isEmpty, usual > 0 else { return }
    let length = whole.map { $1 - $0 }.min() ?? usual
    curve = GrowthModel(
      (1...WALGrowth.parts).map { part in
        let time = length * Double(part) / Double(WALGrowth.parts)
        let grown = whole.map { start, _ in bytes(at: start + time) - bytes(at: start) }
        return .init(seconds: time, bytes: grown.reduce(0, +) / Double(whole.count))
      })
    cycle = checkpointCycle()
  }

  /// In bytes, so many seconds after the freeze, however often the same segments are written.
  func expected(at seconds: Double) -> Double { sum(seconds) { curve.expected(at: $0) } }

  /// What it is not more than, in bytes, with this probability.
  func quantile(_ probability: Double, at seconds: Double) -> Double {
    sum(seconds) { curve.quantile(probability, at: $0) }
  }

  /// The stretches of so many seconds, each with the curve from its beginning.
  private func sum(_ seconds: Double, _ curve: (Double) -> Double) -> Double {
    guard cycle > 0 else { return 0 }
    let whole = (seconds / cycle).rounded(.down)
    return (whole > 0 ? whole * curve(cycle) : 0) + curve(seconds - whole * cycle)
  }

  private func sinceCheckpoint(_ seconds: Double) -> Double { curve.expected(at: seconds) }

  private func checkpointCycle() -> Double {
    let most = max(pace.checkpointSeconds, 1)
    guard sinceCheckpoint(most) > pace.walBetweenCheckpoints else { return most }
    var (low, high) = (0.0, most)
    for _ in 0..<40 {
      let middle = (low + high) / 2
      if sinceCheckpoint(middle) > pace.walBetweenCheckpoints {
        high = middle
      } else {
        low = middle
      }
    }
    return max(high, 1)
  }

  private static func bytes(at seconds: Double, _ looks: [Mark]) -> Double {
    guard let after = looks.firstIndex(where: { $0.seconds >= seconds }) else {
      return looks.last?.bytes ?? 0
    }
    guard after > 0 else { return looks[0].bytes }
    let (left, right) = (looks[after - 1], looks[after])
    let share = (seconds - left.seconds) / max(right.seconds - left.seconds, 1e-9)
    return left.bytes + (right.bytes - left.bytes) * share
  }
}
