/// Sizes as people write and read them: binary units, as LVM counts.
public enum ByteCount {
  private static let units: [(suffix: String, factor: UInt64)] = [
    ("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40),
  ]

  /// `1.5 GiB`; one digit after the point above bytes.
  public static func text(_ bytes: UInt64) -> String {
    guard let unit = units.last(where: { bytes >= $0.factor }), unit.factor > 1 else {
      return "\(bytes) B"
    }
    let tenths = (bytes / unit.factor) * 10 + (bytes % unit.factor) * 10 / unit.factor
    return "\(tenths / 10).\(tenths % 10) \(unit.suffix)"
  }

  /// `3G`, as options are written: rounded up to two digits.
  public static func option(_ bytes: UInt64) -> String {
    for (index, letter) in ["T", "G", "M", "K"].enumerated() {
      let factor = units[4 - index].factor
      guard bytes >= factor, bytes < .max / 16 else { continue }
      let tenths = (bytes * 10 + factor - 1) / factor
      return tenths >= 100 || tenths % 10 == 0
        ? "\((tenths + 9) / 10)\(letter)" : "\(tenths / 10).\(tenths % 10)\(letter)"
    }
    return "\(bytes)"
  }

  /// Reads `512`, `64k`, `10G`, `1.5GiB` (binary units, either case); nil for anything else.
  public static func parse(_ text: some StringProtocol) -> UInt64? {
    let lower = text.lowercased()
    let number = lower.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
    let factors: [String: UInt64] = [
      "": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40,
    ]
    var suffix = lower.dropFirst(number.count)
    if suffix.count > 2, suffix.hasSuffix("ib") { suffix = suffix.dropLast(2) }
    guard let factor = factors[String(suffix)], let value = Double(number), value >= 0 else {
      return nil
    }
    let bytes = value * Double(factor)
    return bytes < 9e18 ? UInt64(bytes) : nil
  }
}
