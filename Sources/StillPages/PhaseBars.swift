import StillModel

/// The phases of a backup, one after the other, to scale.
struct PhaseBars {
  var phases: [BackupRecord.Phase]

  private var sum: Double { phases.reduce(0) { $0 + max(0, $1.seconds) } }

  private func bars(_ canvas: Canvas) -> Bars {
    var begin = 0.0
    let rows = phases.map { phase -> Bars.Row in
      let end = begin + max(0, phase.seconds)
      let text = PhaseBars.duration(phase.seconds)
      defer { begin = end }
      return Bars.Row(
        name: phase.name,
        bars: [.init(begin: begin, end: end, style: "bar", title: "\(phase.name): \(text)")],
        figure: text)
    }
    return Bars(canvas: canvas, end: sum, rows: rows)
  }

  /// Nothing where no phase is known.
  var html: HTML {
    guard !phases.isEmpty, sum > 0 else { return "" }
    let longest = phases.max { $0.seconds < $1.seconds }
    let sentence =
      "\(PhaseBars.duration(sum)) from the first look to the last byte"
      + (longest.map { ", \(PhaseBars.duration($0.seconds)) of it for: \($0.name)." } ?? ".")
    let stretched =
      Canvas.allCases.contains { bars($0).hasStretched }
      ? " The shortest bars are drawn longer than they are, to be seen at all." : ""
    let drawing = Drawing(
      id: "phases", title: "The phases of the backup", description: sentence,
      caption:
        "One after the other, to scale. Publishing and releasing came after this was written down.\(stretched)",
      height: { _ in Bars.height(phases.count) },
      content: { canvas in
        bars(canvas).draw(Ticks.seconds(upTo: sum, most: canvas.isNarrow ? 3 : 7))
      })
    return Page.paragraph(sentence) + drawing.html
  }

  private static func duration(_ seconds: Double) -> String {
    seconds < 1 ? Figures.milliseconds(seconds * 1000) : Figures.duration(seconds)
  }
}
