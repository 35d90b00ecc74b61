/// How fast something grew, in bytes a minute, over each stretch of a minute that ends with a look.
public struct MinuteRates: Hashable, Sendable, Codable {
  public var current: UInt64
  public var median: UInt64
  /// Not exceeded in 95 of 100 of these minutes.
  public var high: UInt64
  public var most: UInt64

  /// - Parameter looks: seconds and bytes, in their order; where they span less than a minute, that span is
  ///   the only stretch.
  public init(_ looks: [(seconds: Double, bytes: UInt64)]) {
    var rates: [UInt64] = []
    var first = 0
    for (index, look) in looks.enumerated() where look.seconds - looks[0].seconds >= 60 {
      while first + 1 < index, looks[first + 1].seconds <= look.seconds - 60 { first += 1 }
      rates.append(MinuteRates.rate(looks[first], look))
    }
    if rates.isEmpty, let begin = looks.first, let end = looks.last {
      rates = [MinuteRates.rate(begin, end)]
    }
    let sorted = rates.sorted()
    func at(_ share: Double) -> UInt64 {
      sorted.isEmpty ? 0 : sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]
    }
    current = rates.last ?? 0
    median = at(0.5)
    high = at(0.95)
    most = sorted.last ?? 0
  }

  private static func rate(
    _ begin: (seconds: Double, bytes: UInt64), _ end: (seconds: Double, bytes: UInt64)
  ) -> UInt64 {
    let seconds = end.seconds - begin.seconds
    guard seconds > 0, end.bytes > begin.bytes else { return 0 }
    return UInt64(Double(end.bytes - begin.bytes) / seconds * 60)
  }
}
