/// Durations as people write them.
public enum TimeSpan {
  /// Reads `90`, `90s`, `30m`, `1.5h`, in seconds; nil for anything else.
  public static func parse(_ text: some StringProtocol) -> Double? {
    let factors: [Character: Double] = ["s": 1, "m": 60, "h": 3600]
    var number = text[...]
    var factor = 1.0
    if let last = text.last, let known = factors[last] {
      factor = known
      number = text.dropLast()
    }
    guard let first = number.first, first.isASCII, first.isNumber,
      number.allSatisfy({ $0.isASCII && ($0.isNumber || $0 == ".") }),
      let value = Double(String(number))
    else { return nil }
    return value * factor
  }
}
