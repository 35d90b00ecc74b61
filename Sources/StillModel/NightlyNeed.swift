import func Glibc.exp
import func Glibc.log

/// What the next backup is likely to need of a snapshot, from what the last ones needed.
///
/// Each night's need is a few things multiplied (how much is written, how often the same chunk, how long
/// the copy takes), so that it is its logarithm that is spread evenly. Of such numbers, the bound that one
/// more stays below with probability 0.95 is `mean + t · s · √(1 + 1/n)` on the logarithms, with the
/// quantile `t` of Student's distribution with n - 1 degrees of freedom: the prediction interval of a normal
/// sample. It assumes that tonight is a night like those; a load that grows from week to week is ahead of
/// it by about a night's growth.
public struct NightlyNeed: Hashable, Sendable, Codable {
  /// What the next one needs at most, at that probability, in bytes.
  public var likely: UInt64
  /// The most that any of them needed, in bytes.
  public var most: UInt64
  public var nights: Int

  public static let probability = 0.95
  /// Fewer say nothing of how nights differ.
  public static let nightsNeeded = 3

  /// - Parameter peaks: the most that each backup needed, in bytes.
  /// - Returns: nil for fewer nights than are needed.
  public init?(_ peaks: [UInt64]) {
    guard peaks.count >= NightlyNeed.nightsNeeded, let most = peaks.max() else { return nil }
    let n = Double(peaks.count)
    // A night without a write needs one chunk.
    let logarithms = peaks.map { log(Double(max($0, 4096))) }
    let mean = logarithms.reduce(0, +) / n
    let variance = logarithms.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / (n - 1)
    let bound = mean + NightlyNeed.quantile(peaks.count - 1) * (variance * (1 + 1 / n)).squareRoot()
    nights = peaks.count
    self.most = most
    // A logarithm and back is not exact.
    likely = UInt64(min(exp(bound), 9e18).rounded(.up))
  }

  /// Student's t at 0.95, one side, by degrees of freedom; from 13 on they hardly differ.
  private static func quantile(_ freedom: Int) -> Double {
    let table = [
      6.314, 2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833, 1.812, 1.796, 1.782, 1.771,
    ]
    return table[max(1, min(freedom, table.count)) - 1]
  }
}
