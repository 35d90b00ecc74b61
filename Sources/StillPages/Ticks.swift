import StillModel

/// A place on an axis, with what stands there.
struct Tick: Hashable {
  var value: Double
  var label: String
}

/// Round places on an axis that begins at 0.
enum Ticks {
  /// In binary units; a power of two from one to the next.
  static func bytes(upTo end: Double, most count: Int = 5, suffix: String = "") -> [Tick] {
    var step = 1.0
    while end / step > Double(count) { step *= 2 }
    return multiples(of: step, upTo: end).map { Tick(value: $0, label: bytes($0) + suffix) }
  }

  /// `1.25 GiB`, `512 MiB`: exact, for they are few powers of two.
  private static func bytes(_ value: Double) -> String {
    var (number, unit) = (value, "B")
    for larger in ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] where number >= 1024 {
      (number, unit) = (number / 1024, larger)
    }
    return value == 0 ? "0" : "\(plain(number)) \(unit)"
  }

  private static let spans: [Double] = [
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400,
  ]

  /// In the unit that fits the whole: seconds up to two minutes, minutes up to two hours.
  static func seconds(upTo end: Double, most count: Int) -> [Tick] {
    let (unit, name) =
      end <= 120
      ? (1.0, "s") : end <= 7200 ? (60, "min") : end <= 172_800 ? (3600, "h") : (86400, "days")
    var step =
      end < 1
      ? decimalStep(upTo: end, most: count)
      : spans.first { $0 >= unit && end / $0 <= Double(count) } ?? 86400
    while end / step > Double(count) { step *= 2 }
    return multiples(of: step, upTo: end).map { value in
      Tick(value: value, label: value == 0 ? "0" : "\(plain(value / unit)) \(name)")
    }
  }

  static func milliseconds(upTo end: Double, most count: Int) -> [Tick] {
    multiples(of: decimalStep(upTo: end, most: count), upTo: end).map {
      Tick(value: $0, label: $0 == 0 ? "0" : "\(plain($0)) ms")
    }
  }

  /// 1, 2 or 5 times a power of ten.
  private static func decimalStep(upTo end: Double, most count: Int) -> Double {
    var (power, step) = (0.001, 0.001)
    while end / step > Double(count), power < 1e15 {
      let steps = [power, power * 2, power * 5]
      step = steps.first { end / $0 <= Double(count) } ?? power * 10
      power *= 10
    }
    return step
  }

  private static func multiples(of step: Double, upTo end: Double) -> [Double] {
    guard end > 0, end / step < 1000 else { return [0] }
    return (0...Int(end / step)).map { Double($0) * step }
  }

  /// Without zeros behind the point.
  private static func plain(_ number: Double) -> String {
    var text = Figures.rounded(number, 3)
    while text.hasSuffix("0") { text.removeLast() }
    if text.hasSuffix(".") { text.removeLast() }
    return text
  }
}
