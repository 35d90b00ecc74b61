/// The field of a drawing in which values are drawn to scale: time from left to right, an amount upwards, both
/// from 0. To its right is room for the names of what ends there.
struct Plot {
  struct Point: Hashable {
    /// In seconds.
    var time: Double
    var amount: Double
  }

  /// A line's name, right of the field at the height where the line ends.
  struct Label {
    var amount: Double
    var text: String
    /// One of the style's `of-…`.
    var style: String
  }

  let canvas: Canvas
  let height: Double
  /// Where the axes end, in seconds and in units of the amount.
  let end: Point
  /// A line for what stands above the field.
  private let top = 22.0
  private let bottom = 24.0
  private var left: Double { canvas.isNarrow ? 54 : 66 }
  private var right: Double { canvas.width - (canvas.isNarrow ? 134 : 144) }
  private var floor: Double { height - bottom }
  private static let lineHeight = 15.0

  init(_ canvas: Canvas, height: Double, end: Point) {
    self.canvas = canvas
    self.height = height
    self.end = Point(time: max(end.time, 1e-6), amount: max(end.amount, 1e-6))
  }

  func x(_ time: Double) -> Double {
    left + (right - left) * min(max(time / end.time, 0), 1)
  }
  func y(_ amount: Double) -> Double {
    floor - (floor - top) * min(max(amount / end.amount, 0), 1)
  }

  /// The axes and what stands at them.
  func axes(_ times: [Tick], _ amounts: [Tick]) -> HTML {
    let lines = amounts.map { tick -> HTML in
      let y = y(tick.amount)
      return """
        <line class="\(tick.value > 0 ? "grid" : "axis")" x1="\(left)" y1="\(y)" x2="\(right)" y2="\(y)"/>\
        <text class="amount" x="\(left - 7)" y="\(y + 4)" text-anchor="end">\(tick.label)</text>

        """
    }
    let marks = times.map { tick -> HTML in
      let x = x(tick.value)
      return """
        <line class="axis" x1="\(x)" y1="\(floor)" x2="\(x)" y2="\(floor + 4)"/>\
        <text class="time" x="\(x)" y="\(floor + 18)" text-anchor="middle">\(tick.label)</text>

        """
    }
    return "\(lines)\(marks)"
  }

  /// A line through points in their order, and what is below it.
  func curve(_ points: [Point], isFilled: Bool = true) -> HTML {
    guard let first = points.first, let last = points.last else { return "" }
    let line = path(points)
    let area: HTML =
      isFilled
      ? "<polygon class=\"area\" points=\"\(line) \(x(last.time)),\(floor) \(x(first.time)),\(floor)\"/>\n"
      : ""
    return "\(area)<polyline class=\"curve\" points=\"\(line)\"/>\n"
  }

  /// A straight line, or one with corners.
  func line(_ style: String, _ points: [Point]) -> HTML {
    "<polyline class=\"\(style)\" points=\"\(path(points))\"/>\n"
  }

  func shape(_ style: String, _ points: [Point]) -> HTML {
    "<polygon class=\"\(style)\" points=\"\(path(points))\"/>\n"
  }

  private func path(_ points: [Point]) -> HTML {
    points.map { "\(x($0.time)),\(y($0.amount))" }.joined(separator: " ")
  }

  /// A point with what it says to whoever points at it.
  func dot(_ style: String, _ point: Point, radius: Double = 4, _ title: String) -> HTML {
    """
    <circle class="\(style)" cx="\(x(point.time))" cy="\(y(point.amount))" r="\(radius)"><title>\(title)</title></circle>

    """
  }

  /// Moments that have a name, as lines from top to bottom; of names that would touch, the last one stays.
  func moments(_ moments: [(time: Double, name: String)]) -> HTML {
    var taken = Double.infinity
    return moments.sorted { $0.time > $1.time }.map { moment -> HTML in
      let x = x(moment.time)
      let width = canvas.width(of: moment.name)
      let middle = min(max(x, left + width / 2), max(right - width / 2, left + width / 2))
      let line: HTML =
        "<line class=\"moment\" x1=\"\(x)\" y1=\"\(top - 4)\" x2=\"\(x)\" y2=\"\(floor)\"/>"
      guard middle + width / 2 + 6 < taken else { return line }
      taken = middle - width / 2
      return
        "\(line)<text class=\"moment-name\" x=\"\(middle)\" y=\"\(top - 9)\" text-anchor=\"middle\">\(moment.name)</text>\n"
    }.joined()
  }

  /// The names of lines: each at the height of its own, or as near as the others allow.
  func labels(_ labels: [Label]) -> HTML {
    let sorted = labels.sorted { $0.amount > $1.amount }
    var heights = sorted.map { y($0.amount) }
    for index in heights.indices.dropFirst() {
      heights[index] = max(heights[index], heights[index - 1] + Plot.lineHeight)
    }
    // Those that were pushed out below push back.
    var limit = floor
    for index in heights.indices.reversed() {
      heights[index] = min(heights[index], limit)
      limit = heights[index] - Plot.lineHeight
    }
    return zip(sorted, heights).map { label, height -> HTML in
      """
      <polyline class="leader" points="\(right),\(y(label.amount)) \(right + 10),\(height)"/>\
      <text class="\(label.style)" x="\(right + 13)" y="\(height + 4)">\(label.text)</text>

      """
    }.joined()
  }
}

extension Tick {
  fileprivate var amount: Double { value }
}

extension [Plot.Point] {
  /// No more points than can be told apart: of each stretch of the time the last one, and the very first.
  func thinned(to count: Int) -> [Plot.Point] {
    guard self.count > count, count > 1, let first, let last, last.time > first.time else {
      return self
    }
    var thinned = [first]
    var stretch = 0
    for (point, next) in zip(self, dropFirst()) {
      let of = Int((next.time - first.time) / (last.time - first.time) * Double(count))
      if of > stretch {
        if point != first { thinned.append(point) }
        stretch = of
      }
    }
    thinned.append(last)
    return thinned
  }
}
