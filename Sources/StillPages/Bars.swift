/// Rows of bars over one axis from 0: a name on the left, bars to scale, a figure behind them.
struct Bars {
  /// From where to where, in units of the axis.
  struct Bar {
    var begin: Double
    var end: Double
    /// A class of the style.
    var style: String
    var title: String
    /// As a share of the row's height.
    var thickness = 1.0
  }

  struct Row {
    var name: String
    var bars: [Bar]
    var figure: String
  }

  /// What is shorter is drawn as long as this, to be seen at all, in units of the drawing.
  static let least = 2.0
  private static let rowHeight = 26.0
  private static let top = 24.0

  let canvas: Canvas
  let end: Double
  let rows: [Row]

  static func height(_ rows: Int) -> Double { top + Double(rows) * rowHeight + 26 }

  /// Long names get no more than a third.
  private var left: Double {
    min(canvas.width * 0.32, 14 + (rows.map { canvas.width(of: $0.name) }.max() ?? 0))
  }
  private var right: Double { canvas.width - (canvas.isNarrow ? 74 : 90) }
  private var floor: Double { Bars.top + Double(rows.count) * Bars.rowHeight }

  func x(_ value: Double) -> Double {
    left + (right - left) * min(max(value / max(end, 1e-9), 0), 1)
  }

  /// Whether some bar is drawn longer than it is.
  var hasStretched: Bool {
    rows.contains { $0.bars.contains { x($0.end) - x($0.begin) < Bars.least && $0.end > $0.begin } }
  }

  /// A stretch that all rows have in common, with its name above it.
  func band(_ style: String, from begin: Double, to end: Double, _ name: String) -> HTML {
    let width = canvas.width(of: name) / 2
    let middle = min(max((x(begin) + x(end)) / 2, left + width), canvas.width - width)
    return """
      <rect class="\(style)" x="\(x(begin))" y="\(Bars.top - 4)" width="\(max(x(end) - x(begin), Bars.least))" \
      height="\(floor - Bars.top + 4)"/><text class="band-name" x="\(middle)" y="\(Bars.top - 9)" \
      text-anchor="middle">\(name)</text>

      """
  }

  func draw(_ ticks: [Tick]) -> HTML {
    let grid = ticks.map { tick -> HTML in
      """
      <line class="grid" x1="\(x(tick.value))" y1="\(Bars.top - 4)" x2="\(x(tick.value))" y2="\(floor + 4)"/>\
      <text class="time" x="\(x(tick.value))" y="\(floor + 18)" text-anchor="middle">\(tick.label)</text>

      """
    }
    let lines = rows.enumerated().map { index, row in
      draw(row, top: Bars.top + Double(index) * Bars.rowHeight)
    }
    return "\(grid)\(lines)"
  }

  private func draw(_ row: Row, top: Double) -> HTML {
    let bars = row.bars.map { bar -> HTML in
      let height = 16 * bar.thickness
      return """
        <rect class="\(bar.style)" x="\(x(bar.begin))" y="\(top + 13 - height / 2)" \
        width="\(max(x(bar.end) - x(bar.begin), Bars.least))" height="\(height)"><title>\(bar.title)</title></rect>

        """
    }
    let name = canvas.fitted(row.name, into: left - 10)
    let last = row.bars.map { max(x($0.end), x($0.begin) + Bars.least) }.max() ?? left
    return """
      <text class="name" x="\(left - 8)" y="\(top + 17)" text-anchor="end">\(name)</text>\
      \(bars)<text class="figure" x="\(last + 6)" y="\(top + 17)">\(row.figure)</text>

      """
  }
}
