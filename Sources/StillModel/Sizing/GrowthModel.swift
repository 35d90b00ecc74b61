import func Glibc.exp
import func Glibc.pow

/// How the distinct bytes that a load overwrites grow, learnt from a few looks at them.
///
/// Whatever is written twice counts once, so the growth slows: a load that hits N pages evenly has
/// overwritten N(1 - exp(-λt)) after t seconds; one that appends goes on as it began; and what every commit
/// and every checkpoint touches, as the journal of the file system, is there at once. Most loads are a mixture.
/// With τ the time of the last look and R what had grown by then, the family of curves is
///
///     R(t) = R · (γ + (1 - γ) · ((1 - β) · (1 - exp(-λt)) / (1 - exp(-λτ)) + β · t/τ))
///
/// where the share γ comes at once, of the rest the share β goes on, and what remains levels off. Every curve of a
/// grid over λτ (0.02 to 60, evenly in its logarithm), β (0 to 1) and γ (0 to 0.4) gets a weight by how well it
/// meets the growth between the looks: exp(-½ Σ (seen - expected)² / σ²), with σ² = (5 % of the growth)² + one
/// page for each page + a floor, for loads breathe. `expected` is the weighted mean of the curves, `quantile` the
/// size that curves of so much weight do not exceed. Where even the best curve misses by more than that σ, σ is as much
/// larger. A load that is faster at the end than before is in no such
/// curve: then the quantile is at least what its last stretch goes on to.
struct GrowthModel {
  /// What had grown some seconds after the freeze, in bytes.
  struct Mark: Hashable {
    var seconds: Double
    var bytes: Double
  }

  private struct Curve {
    var rate: Double
    var share: Double
    var jump: Double
    var weight: Double
  }

  private static let unevenness = 0.05
  /// Rate, share and jump: so many looks every curve meets.
  private static let freedoms = 3
  /// In bytes: PostgreSQL's page.
  private static let page = 8192.0
  /// Growth that means nothing, in bytes: a dozen pages that come and go.
  private static let floor = 16 * page

  /// Each by the same factor above the one before.
  private static let rates = (0..<36).map { 0.02 * pow(60 / 0.02, Double($0) / 35) }
  /// Closer together where a small share makes the difference.
  private static let shares = (0...20).map { pow(Double($0) / 20, 1.5) }
  private static let jumps = [0, 0.05, 0.1, 0.2, 0.3, 0.4]

  private let last: Mark
  /// Bytes a second between the last two looks.
  private let lastRate: Double
  private var curves: [Curve] = []

  /// - Parameter marks: in their order, each later than the one before; without any nothing grows.
  init(_ marks: [Mark]) {
    let last = marks.last ?? Mark(seconds: 1, bytes: 0)
    let before = marks.dropLast().last ?? Mark(seconds: 0, bytes: 0)
    self.last = last
    lastRate = max(0, last.bytes - before.bytes) / (last.seconds - before.seconds)
    var misses: [Double] = []
    for rate in GrowthModel.rates {
      for share in GrowthModel.shares {
        for jump in GrowthModel.jumps {
          let curve = Curve(rate: rate, share: share, jump: jump, weight: 0)
          curves.append(curve)
          misses.append(miss(of: curve, marks))
        }
      }
    }
    let least = misses.min() ?? 0
    // A load that no curve meets well breathes more than others: as much as it has shown.
    let breath = max(1, least / Double(max(1, marks.count - GrowthModel.freedoms)))
    let weights = misses.map { exp(-0.5 * ($0 - least) / breath) }
    let sum = weights.reduce(0, +)
    for index in curves.indices { curves[index].weight = weights[index] / sum }
  }

  /// In bytes, so many seconds after the freeze.
  func expected(at seconds: Double) -> Double {
    let ratio = max(0, seconds) / last.seconds
    return curves.reduce(0) { $0 + $1.weight * GrowthModel.shape($1, ratio) } * last.bytes
  }

  /// What it is not more than, in bytes, with this probability.
  func quantile(_ probability: Double, at seconds: Double) -> Double {
    let ratio = max(0, seconds) / last.seconds
    let outcomes = curves.map { (GrowthModel.shape($0, ratio) * last.bytes, $0.weight) }
      .sorted { $0.0 < $1.0 }
    var sum = 0.0
    let found = outcomes.first { _, weight in
      sum += weight
      return sum >= probability
    }
    let bytes = found?.0 ?? outcomes.last?.0 ?? 0
    guard seconds > last.seconds, lastRate > last.bytes / last.seconds else { return bytes }
    return max(bytes, last.bytes + lastRate * (seconds - last.seconds))
  }

  /// The squares by which a curve misses the growth between the looks, in units of what is usual.
  private func miss(of curve: Curve, _ marks: [Mark]) -> Double {
    var (sum, seenBefore, expectedBefore) = (0.0, 0.0, 0.0)
    for mark in marks {
      let level = GrowthModel.shape(curve, mark.seconds / last.seconds) * last.bytes
      let (seen, expected) = (mark.bytes - seenBefore, level - expectedBefore)
      (seenBefore, expectedBefore) = (mark.bytes, level)
      let growth = max(seen, expected)
      let (breath, missed) = (GrowthModel.unevenness * growth, seen - expected)
      sum +=
        missed * missed
        / (breath * breath + growth * GrowthModel.page + GrowthModel.floor * GrowthModel.floor)
    }
    return sum
  }

  /// The curve at so many times the last look, as a share of what had grown by then.
  private static func shape(_ curve: Curve, _ ratio: Double) -> Double {
    guard ratio > 0 else { return 0 }
    let slowing = (1 - exp(-curve.rate * ratio)) / (1 - exp(-curve.rate))
    return curve.jump
      + (1 - curve.jump) * ((1 - curve.share) * slowing + curve.share * ratio)
  }
}
