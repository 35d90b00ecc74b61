import func Glibc.exp

/// How the distinct bytes that a load overwrites grow, learnt from a few looks at them.
///
/// Whatever is written twice counts once, so the growth slows: a load that hits N pages evenly has
/// overwritten N(1 - exp(-λt)) after t seconds; one that appends goes on as it began; most are a mixture.
/// With τ the time of the last look and R what had grown by then, the family of curves is
///
///     R(t) = R · ((1 - β) · (1 - exp(-λt)) / (1 - exp(-λτ)) + β · t/τ)
///
/// where the share β goes on and the rest levels off. Every curve of a grid over λτ (0.02 to 60, evenly
/// in its logarithm) and β (0 to 1) gets a weight by how well it meets the growth between the looks:
/// exp(-½ Σ (seen - expected)² / σ²), with σ² = (8 % of the growth)² + one page for each page + a floor,
/// for loads breathe. `expected` is the weighted mean of the curves, `quantile` the size that curves
/// of so much weight do not exceed. A load that is faster at the end than before is in no such curve:
/// then the quantile is at least what its last stretch goes on to.
struct GrowthModel {
  /// What had grown some seconds after the freeze, in bytes.
  struct Mark: Hashable {
    var seconds: Double
    var bytes: Double
  }

  private struct Curve {
    var rate: Double
    var share: Double
    var weight: Double
  }

  private static let unevenness = 0.08
  /// In bytes: PostgreSQL's page.
  private static let page = 8192.0
  /// Growth that means nothing, in bytes: a dozen pages that come and go.
  private static let floor = 16 * page

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
    for step in 0..<36 {
      let rate = 0.02 * exp(8.006_4 * Double(step) / 35)
      for part in 0...20 {
        // Closer together where a small share makes the difference.
        let share = Double(part) / 20
        let curve = Curve(rate: rate, share: share * share.squareRoot(), weight: 0)
        curves.append(curve)
        misses.append(miss(of: curve, marks))
      }
    }
    let least = misses.min() ?? 0
    let weights = misses.map { exp(-0.5 * ($0 - least)) }
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
    (1 - curve.share) * (1 - exp(-curve.rate * ratio))
      / (1 - exp(-curve.rate))
      + curve.share * ratio
  }
}
