import StillModel

/// How much was written in each hour of the week: one cell for each; those that nobody saw are hatched, for
/// nothing is known of them.
struct HeatMap {
  private static let days = [
    "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday",
  ]
  /// Less says little of an hour, in minutes.
  private static let enough = 10.0

  private let cells: [HourlyRates.Cell]
  private let most: UInt64

  init(_ rates: HourlyRates) {
    cells = rates.cells.filter { (1...7).contains($0.weekday) && (0...23).contains($0.hour) }
    most = cells.map(\.bytesPerMinute).max() ?? 0
  }

  /// Nothing where nobody saw an hour.
  var html: HTML {
    guard !cells.isEmpty else { return "" }
    let drawing = Drawing(
      id: "hours", title: "What is written in each hour of the week", description: sentence,
      caption:
        "One row for each day, one column for each hour by the clock on the wall. Hatched: nobody has looked yet.",
      height: { HeatMap.height($0) }, content: { draw(on: $0) })
    return Page.paragraph(sentence) + drawing.html
  }

  private var sentence: String {
    let known = cells.filter { $0.minutes >= HeatMap.enough }
    guard let least = known.min(by: { $0.bytesPerMinute < $1.bytesPerMinute }),
      let busiest = known.max(by: { $0.bytesPerMinute < $1.bytesPerMinute })
    else { return "\(cells.count) of the 168 hours of a week were seen." }
    return
      "Of the \(cells.count) hours of the week that were seen, \(HeatMap.name(least)) was the quietest "
      + "(\(ByteCount.text(least.bytesPerMinute)) a minute) and \(HeatMap.name(busiest)) the busiest "
      + "(\(ByteCount.text(busiest.bytesPerMinute)) a minute)."
  }

  private static func name(_ cell: HourlyRates.Cell) -> String {
    "\(days[cell.weekday - 1]) \(clock(cell.hour)) to \(clock((cell.hour + 1) % 24))"
  }

  private static func clock(_ hour: Int) -> String { hour < 10 ? "0\(hour):00" : "\(hour):00" }

  private static func left(_ canvas: Canvas) -> Double { canvas.isNarrow ? 32 : 84 }
  private static func cellWidth(_ canvas: Canvas) -> Double { (canvas.width - left(canvas)) / 24 }
  private static func cellHeight(_ canvas: Canvas) -> Double { canvas.isNarrow ? 19 : 23 }
  private static func height(_ canvas: Canvas) -> Double { 7 * cellHeight(canvas) + 58 }

  private func draw(on canvas: Canvas) -> HTML {
    let (left, width) = (HeatMap.left(canvas), HeatMap.cellWidth(canvas))
    let height = HeatMap.cellHeight(canvas)
    let found = Dictionary(
      cells.map { (($0.weekday - 1) * 24 + $0.hour, $0) }, uniquingKeysWith: { $1 })
    let hatch = "hatch-\(canvas.rawValue)"
    var drawing: HTML = """
      <defs><pattern id="\(hatch)" width="5" height="5" patternUnits="userSpaceOnUse" \
      patternTransform="rotate(45)"><line class="hatch" x1="0" y1="0" x2="0" y2="5"/></pattern></defs>

      """
    for hour in stride(from: 0, to: 24, by: canvas.isNarrow ? 6 : 3) {
      drawing +=
        "<text x=\"\(left + Double(hour) * width)\" y=\"12\">\(HeatMap.clock(hour))</text>\n"
    }
    for (day, name) in HeatMap.days.enumerated() {
      let y = 18 + Double(day) * height
      let shown = canvas.isNarrow ? String(name.prefix(3)) : name
      drawing +=
        "<text class=\"name\" x=\"\(left - 6)\" y=\"\(y + height / 2 + 4)\" text-anchor=\"end\">\(shown)</text>\n"
      for hour in 0..<24 {
        let place: HTML =
          "x=\"\(left + Double(hour) * width)\" y=\"\(y)\" width=\"\(width)\" height=\"\(height)\""
        let when = "\(name) \(HeatMap.clock(hour))"
        if let cell = found[day * 24 + hour] {
          let text =
            "\(when): \(ByteCount.text(cell.bytesPerMinute)) a minute, seen for "
            + Figures.duration(cell.minutes * 60)
          drawing +=
            "<rect class=\"cell\" \(place) fill-opacity=\"\(opacity(cell))\"><title>\(text)</title></rect>\n"
        } else {
          drawing +=
            "<rect class=\"unseen\" \(place) fill=\"url(#\(hatch))\"><title>\(when): nobody has looked</title></rect>\n"
        }
      }
    }
    return drawing + key(canvas, y: 18 + 7 * height + 12)
  }

  /// What the shades stand for.
  private func key(_ canvas: Canvas, y: Double) -> HTML {
    let left = HeatMap.left(canvas)
    let shades = (0...4).map { step -> HTML in
      "<rect class=\"cell\" x=\"\(left + 26 + Double(step) * 22)\" y=\"\(y)\" width=\"22\" height=\"14\" fill-opacity=\"\(HeatMap.opacity(Double(step) / 4))\"/>"
    }
    return """
      <text x="\(left + 18)" y="\(y + 11)" text-anchor="end">0</text>\(shades)\
      <text x="\(left + 144)" y="\(y + 11)">\(ByteCount.text(most)) a minute</text>

      """
  }

  private func opacity(_ cell: HourlyRates.Cell) -> String {
    HeatMap.opacity(most > 0 ? Double(cell.bytesPerMinute) / Double(most) : 0)
  }

  /// An hour in which nothing was written is pale, and yet there.
  private static func opacity(_ share: Double) -> String { Figures.rounded(0.08 + 0.92 * share, 2) }
}
