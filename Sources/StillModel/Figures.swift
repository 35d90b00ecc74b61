/// Numbers for people.
public enum Figures {
  /// `12.3 ms`
  public static func milliseconds(_ value: Double) -> String { "\(rounded(value, 1)) ms" }

  /// `4.2 s`, `3 min 07 s`
  public static func duration(_ seconds: Double) -> String {
    guard seconds >= 60 else { return "\(rounded(seconds, 1)) s" }
    let whole = Int(min(seconds.rounded(), 9e18))
    let rest = whole % 60
    return whole >= 3600
      ? "\(whole / 3600) h \(pad(whole / 60 % 60)) min" : "\(whole / 60) min \(pad(rest)) s"
  }

  /// `12.3 %` of a share between 0 and 1.
  public static func percent(_ share: Double) -> String { "\(rounded(share * 100, 1)) %" }

  public static func rounded(_ value: Double, _ digits: Int) -> String {
    var scale = 1.0
    for _ in 0..<digits { scale *= 10 }
    // What nobody has may stand in a file that somebody wrote by hand.
    let scaled = value.isNaN ? 0 : Int(min((abs(value) * scale).rounded(), 9e18))
    let sign = value < 0 && scaled > 0 ? "-" : ""
    guard digits > 0 else { return sign + String(scaled) }
    let fraction = String(scaled % Int(scale))
    return sign + String(scaled / Int(scale)) + "."
      + String(repeating: "0", count: digits - fraction.count) + fraction
  }

  private static func pad(_ number: Int) -> String { number < 10 ? "0\(number)" : String(number) }
}
