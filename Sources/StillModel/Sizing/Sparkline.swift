/// A curve in a few characters: `▁▂▄▆█`, or `_.-=*#` in plain ones.
public enum Sparkline {
  private static let bars = Array("▁▂▃▄▅▆▇█")
  private static let plainBars = Array("_.-~=+*#")

  /// - Parameters:
  ///   - points: in their order.
  ///   - isPlain: whether ASCII has to do.
  ///   - width: characters, at most; each stands for a stretch of the same length.
  /// - Returns: the level at the end of each stretch, between 0 and the most; empty for no points.
  public static func text(
    _ points: [(seconds: Double, bytes: UInt64)], width: Int, isPlain: Bool = false
  )
    -> String
  {
    let bars = isPlain ? plainBars : bars
    guard let first = points.first, let last = points.last, width > 0 else { return "" }
    let most = Double(points.map(\.bytes).max() ?? 0)
    let columns = min(width, points.count)
    var text = ""
    var index = 0
    for column in 1...columns {
      let end =
        first.seconds + (last.seconds - first.seconds) * Double(column) / Double(columns)
      while index + 1 < points.count, points[index + 1].seconds <= end { index += 1 }
      let share = most > 0 ? Double(points[index].bytes) / most : 0
      text.append(bars[min(bars.count - 1, Int(share * Double(bars.count)))])
    }
    return text
  }
}
