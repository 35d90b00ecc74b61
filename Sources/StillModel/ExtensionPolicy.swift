/// When and by how much a snapshot that fills is made larger.
public struct ExtensionPolicy: Hashable, Sendable, Codable {
  /// The used share past which it grows (`--extend-at`), 0…1.
  public var threshold: Double
  /// What its volume group keeps free, in bytes (`--keep-free`).
  public var keptFree: UInt64

  public init(threshold: Double = 0.7, keptFree: UInt64 = 0) {
    self.threshold = threshold
    self.keptFree = keptFree
  }

  public enum Verdict: Hashable, Sendable {
    case enough
    /// The size that it shall have, in bytes.
    case grow(to: UInt64)
    /// It should grow and cannot.
    case noRoom
  }

  /// However far below the threshold: a store that is full so soon has to grow now. LVM takes a
  /// second or four for it.
  private static let tooSoon = 15.0
  /// Where nobody knows how long the copy still takes, room for so many seconds is made.
  private static let horizon = 120.0

  /// Whether it has to grow, before anybody asks LVM for the room there is.
  public func isDue(_ trend: FillTrend) -> Bool {
    guard trend.fill.state == .valid, trend.fill.size > 0, trend.fill.metadata == nil else {
      return false
    }
    return trend.fill.share >= threshold || (trend.secondsToFull ?? .infinity) < Self.tooSoon
  }

  /// What to do about a snapshot of `origin`, whose copy takes `secondsLeft` more.
  ///
  /// It grows to what the measured rate asks for until the end of the copy with a quarter on top, at
  /// least by a fifth, so that it does not grow every second.
  public func verdict(
    on trend: FillTrend, origin: VolumeFacts, secondsLeft: Double?
  ) -> Verdict {
    guard isDue(trend) else { return .enough }
    let most = SizingBasis.most(for: origin)
    guard trend.fill.size < most else { return .enough }
    let seconds = max(secondsLeft.map { $0 * 1.25 } ?? 0, Self.horizon)
    let need = trend.fill.used + UInt64(min(trend.rate * seconds, Double(UInt64.max / 4)))
    let wanted = SizingBasis.wholeExtents(max(need, trend.fill.size / 5 * 6), of: origin)
    let room = origin.groupFree > keptFree ? origin.groupFree - keptFree : 0
    let extent = max(origin.extentSize, 1)
    let possible = trend.fill.size + room / extent * extent
    let size = min(wanted, most, possible)
    return size > trend.fill.size ? .grow(to: size) : .noRoom
  }
}
