/// How much WAL a server writes in a given time, learnt from the stretches between checkpoints.
///
/// After a checkpoint the first change of each page brings the whole page into the log
/// (`full_page_writes`), so the log grows fast first and then slower. A probe sees several stretches that
/// begin with a checkpoint: the mean of the longest is the curve up to their length, and from there it goes
/// on with the rate of its last third, which is no less than what will come. A checkpoint begins after
/// `checkpoint_timeout`, or earlier where the curve has reached what `max_wal_size` allows; after each of
/// them the curve begins anew.
struct WALGrowth {
  /// How much WAL there was some seconds after the freeze, in bytes.
  struct Mark: Hashable {
    var seconds: Double
    var bytes: Double
  }

  /// The end of the longest stretch, its last third's beginning, and the bytes at both.
  private var (length, knee) = (1.0, 1.0)
  private var (atLength, atKnee) = (0.0, 0.0)
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
    length = whole.map { $1 - $0 }.min() ?? usual
    knee = length * 2 / 3
    for (start, _) in whole {
      let base = bytes(at: start)
      atLength += (bytes(at: start + length) - base) / Double(whole.count)
      atKnee += (bytes(at: start + knee) - base) / Double(whole.count)
    }
    cycle = checkpointCycle()
  }

  /// In bytes, so many seconds after the freeze, however often the same segments are written.
  func expected(at seconds: Double) -> Double {
    guard cycle > 0 else { return 0 }
    let whole = (seconds / cycle).rounded(.down)
    return whole * sinceCheckpoint(cycle) + sinceCheckpoint(seconds - whole * cycle)
  }

  private func sinceCheckpoint(_ seconds: Double) -> Double {
    seconds <= knee
      ? atKnee * seconds / knee
      : atKnee + (atLength - atKnee) / (length - knee) * (seconds - knee)
  }

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
