import StillModel
import StillSystem
import StillVolumes
import Synchronization
import SystemPackage

/// Looks at the snapshots every second while they are copied: keeps the series, makes those larger
/// that fill, and orders the copy to stop when one has overflowed, for what is read from then on is
/// worth nothing.
final class FillWatch: Sendable {
  private struct State {
    var series = FillSeries()
    /// As they were last.
    var trends: [FillTrend] = []
    /// Of each origin's COW store, in bytes.
    var sizes: [VolumeName: UInt64]
    var extensions: [BackupRecord.Extension] = []
    /// Those that cannot grow any more, and of which that was said.
    var stuck: Set<VolumeName> = []
    var isEnded = false
    var thread: WorkerThread?
  }

  private let state: Mutex<State>
  private let provider: any SnapshotProvider
  private let order: FreezeOrder
  private let run: (meter: CopyMeter, cancellation: Cancellation)
  private let clock = Stopwatch()
  private let sysfs: FilePath
  /// To each origin, when it was frozen.
  private let writtenBefore: [UInt64?]

  /// - Parameter sysfs: `/sys`, elsewhere in tests.
  init(
    _ snapshots: [SnapshotFacts], _ provider: any SnapshotProvider, _ order: FreezeOrder,
    sysfs: FilePath, _ run: Run
  ) throws {
    self.sysfs = sysfs
    writtenBefore = order.bytesWritten(sysfs)
    let sizes = Dictionary(uniqueKeysWithValues: snapshots.map { ($0.origin, $0.size) })
    state = Mutex(State(sizes: sizes))
    self.provider = provider
    self.order = order
    self.run = (run.meter, run.cancellation)
    let thread = try WorkerThread { [self] in
      while !isEnded {
        do {
          let trends = try look()
          self.run.meter.filled(trends)
          for trend in trends where order.extending.isDue(trend) { try extend(trend) }
        } catch {
          self.run.cancellation.cancel(error as? StillError ?? StillError(.volumes, "\(error)"))
          return
        }
        for _ in 0..<10 where !isEnded { Clock.sleep(milliseconds: 100) }
      }
    }
    state.withLock { $0.thread = thread }
  }

  var history: [BackupRecord.FillSample] { state.withLock { $0.series.samples } }
  var extensions: [BackupRecord.Extension] { state.withLock { $0.extensions } }
  private var isEnded: Bool { state.withLock { $0.isEnded } }

  /// What was seen last; nobody is asked for it.
  var trends: [FillTrend] { state.withLock { $0.trends } }
  /// Whether a snapshot should grow and cannot.
  func isStuck(_ origin: VolumeName) -> Bool { state.withLock { $0.stuck.contains(origin) } }
  /// The size of an origin's store by now, in bytes.
  func size(of origin: VolumeName) -> UInt64? { state.withLock { $0.sizes[origin] } }

  /// Asks for the fill now.
  ///
  /// - Throws: `.overflow` where a snapshot is no longer valid, or a pool about to be full.
  @discardableResult
  func look() throws -> [FillTrend] {
    let fills = try provider.fill()
    let written = zip(order.bytesWritten(sysfs), writtenBefore).map { now, before -> UInt64? in
      // A counter that went back is another one.
      guard let now, let before, now >= before else { return nil }
      return now - before
    }
    let copied = run.meter.copied
    let trends = state.withLock { state in
      state.series.add(fills, at: clock.seconds, written: written, copied: copied)
      state.trends = fills.indices.map {
        FillTrend(fill: fills[$0], rate: state.series.rate(of: $0))
      }
      return state.trends
    }
    for trend in trends { try requireValid(trend) }
    return trends
  }

  /// Why work on the snapshots failed: an overflow shows first as a read that fails.
  func explanation(of failure: any Error) -> any Error {
    do {
      try look()
      return failure
    } catch let overflow as StillError where overflow.status == .overflow {
      return overflow.during((failure as? StillError)?.phase ?? Phase.copy.doing, as: .overflow)
    } catch {
      return failure
    }
  }

  func end() {
    let thread = state.withLock { state in
      state.isEnded = true
      return state.thread
    }
    thread?.join()
    state.withLock { $0.thread = nil }
  }

  /// Makes a snapshot larger, if its volume group has room. One that cannot grow goes on as it is:
  /// the copy may be done before it is full.
  private func extend(_ trend: FillTrend) throws {
    let fill = trend.fill
    guard let origin = try provider.survey([fill.origin]).first else { return }
    switch order.extending.verdict(on: trend, origin: origin, secondsLeft: run.meter.secondsLeft) {
    case .enough: return
    case .grow(let size):
      let grown = try provider.extend(fill.origin, to: size)
      let seconds = clock.seconds
      state.withLock { state in
        state.extensions.append(
          .init(seconds: seconds, origin: fill.origin, from: fill.size, to: grown.size))
        state.sizes[fill.origin] = grown.size
        state.stuck.remove(fill.origin)
      }
      run.meter.noticed(
        "extended \(fill.snapshot) from \(ByteCount.text(fill.size)) to "
          + "\(ByteCount.text(grown.size)): \(trend.sentence)")
    case .noRoom:
      let isNews = state.withLock { $0.stuck.insert(fill.origin).inserted }
      guard isNews else { return }
      run.meter.noticed(
        "volume group \(fill.origin.group) has no room to extend \(fill.snapshot), "
          + "\(trend.sentence)")
    }
  }

  private func requireValid(_ trend: FillTrend) throws {
    switch trend.fill.state {
    case .valid:
      if trend.fill.isPoolNearlyFull { throw poolIsFull(trend) }
    case .invalid: throw overflow(of: trend.fill)
    case .unknown:
      throw StillError(
        .volumes, "snapshot \(trend.fill.snapshot) was removed or changed by somebody else",
        hint: "Run again.")
    }
  }

  private func poolIsFull(_ trend: FillTrend) -> StillError {
    let metadata = Figures.percent(trend.fill.metadata ?? 0)
    return StillError(
      .overflow,
      "the thin pool of \(trend.fill.origin) is \(trend.sentence) (metadata \(metadata) full): the "
        + "snapshots were given up before the server runs out of room",
      hint: "Nothing was published. Extend the pool (lvextend), or remove what else is in it.")
  }

  /// With the numbers: when, at which size, how far the copy was, and what would have done.
  private func overflow(of fill: SnapshotFill) -> StillError {
    let size = state.withLock { $0.sizes[fill.origin] } ?? 0
    var message =
      "snapshot \(fill.snapshot) overflowed \(Figures.duration(clock.seconds)) after the freeze "
      + "at \(ByteCount.text(size)): its origin \(fill.origin) took in more changes than that"
    var needed = size * 2
    if let share = run.meter.share {
      message += ", with \(Int(share * 100)) % of the copy done"
      needed = max(needed, UInt64(Double(size) / max(share, 0.05) * 1.5))
    }
    return StillError(
      .overflow, message,
      hint:
        "Nothing was published. Use --snapshot-size \(ByteCount.option(needed)), a quieter hour, "
        + "or \(order.wayWithout); if it was "
        + "not full, dmesg tells of a disk that failed.")
  }
}

extension FreezeOrder {
  /// Bytes written to each origin since the machine started.
  fileprivate func bytesWritten(_ sysfs: FilePath) -> [UInt64?] {
    volumes.map { BlockDevices.bytesWritten(to: $0.fileSystem.device, sysfs: sysfs) }
  }
}
