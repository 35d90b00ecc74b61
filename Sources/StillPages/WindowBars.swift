import StillModel

/// The freeze window to scale: which volume stood still from when to when.
struct WindowBars {
  var freeze: BackupRecord.Freeze

  /// Where no volume could be written: from the last suspend to the first resume.
  private var still: (begin: Double, end: Double)? {
    guard let begin = freeze.volumes.map(\.suspend.end).max(),
      let end = freeze.volumes.map(\.resume.begin).min(), begin < end
    else { return nil }
    return (begin, end)
  }

  private var end: Double {
    max(freeze.windowMilliseconds, freeze.volumes.map(\.resume.end).max() ?? 0)
  }

  private func bars(_ canvas: Canvas) -> Bars {
    let rows = freeze.volumes.map { volume -> Bars.Row in
      let held = Figures.milliseconds(volume.resume.end - volume.suspend.begin)
      func bar(_ span: Span, _ style: String, _ thickness: Double = 1) -> Bars.Bar {
        let text =
          "\(style): from \(Figures.milliseconds(span.begin)) to \(Figures.milliseconds(span.end))"
        return .init(
          begin: span.begin, end: span.end, style: style, title: "\(volume.origin) \(text)",
          thickness: thickness)
      }
      return Bars.Row(
        name: volume.origin.description,
        bars: [
          bar(.init(begin: volume.suspend.begin, end: volume.resume.end), "held", 0.4),
          bar(volume.suspend, "suspend"), bar(volume.take, "take"), bar(volume.resume, "resume"),
        ], figure: held)
    }
    return Bars(canvas: canvas, end: end, rows: rows)
  }

  /// Nothing where no volume was frozen.
  var html: HTML {
    guard !freeze.volumes.isEmpty, end > 0 else { return "" }
    let count = freeze.volumes.count
    let sentence =
      "On \(freeze.at.readable), \(count == 1 ? "one volume" : "\(count) volumes") stood still for "
      + "\(Figures.milliseconds(freeze.windowMilliseconds)). "
      + "Whoever wrote to \(count == 1 ? "it" : "them") then waited for that long at most."
    let stretched =
      Canvas.allCases.contains { bars($0).hasStretched }
      ? " The shortest are drawn longer than they are." : ""
    let drawing = Drawing(
      id: "window", title: "The freeze window",
      description: sentence + " Skew, from the first to the last suspend: "
        + Figures.milliseconds(freeze.skewMilliseconds) + ".",
      caption: """
        Milliseconds, to scale: <span class="key key-suspend">suspend</span>, \
        <span class="key key-take">take the snapshot</span>, <span class="key key-resume">resume</span>; the figure \
        behind is for how long writers to the volume waited. \(still == nil ? "" : "In the shaded stretch no volume could be written: that is the instant which the backup shows. ")\
        Skew, from the first to the last suspend: \(Figures.milliseconds(freeze.skewMilliseconds)).\(stretched)
        """,
      height: { _ in Bars.height(count) },
      content: { canvas in
        let bars = bars(canvas)
        let band =
          still.map {
            bars.band(
              "still", from: $0.begin, to: $0.end,
              canvas.isNarrow ? "all stand still" : "everything stands still")
          } ?? ""
        return band + bars.draw(Ticks.milliseconds(upTo: end, most: canvas.isNarrow ? 3 : 7))
      })
    return Page.paragraph(sentence) + drawing.html
  }
}
