import StillModel

/// How fast a backup was copied; nil where nobody wrote that down, as in records of earlier versions.
struct RatePanel {
  private static let points = 120

  /// Bytes a second, at the end of each stretch.
  private let rates: [Plot.Point]
  private let mean: Double

  init?(samples: [BackupRecord.FillSample]) {
    var copied: [Plot.Point] = samples.compactMap { sample in
      sample.copied.map { Plot.Point(time: max(0, sample.seconds), amount: Double($0)) }
    }
    copied.sort { $0.time < $1.time }
    copied = copied.thinned(to: RatePanel.points)
    guard let first = copied.first, let last = copied.last, last.time > first.time,
      last.amount > first.amount
    else { return nil }
    mean = (last.amount - first.amount) / (last.time - first.time)
    var rates: [Plot.Point] = zip(copied, copied.dropFirst()).compactMap { before, after in
      let seconds = after.time - before.time
      guard seconds > 0 else { return nil }
      return Plot.Point(time: after.time, amount: max(0, after.amount - before.amount) / seconds)
    }
    guard rates.count > 1 else { return nil }
    rates.insert(.init(time: first.time, amount: rates[0].amount), at: 0)
    self.rates = rates
  }

  private static func text(_ rate: Double) -> String {
    ByteCount.text(UInt64(max(0, min(rate, 1e18)))) + "/s"
  }

  private var most: Double { rates.map(\.amount).max() ?? 0 }

  var html: HTML {
    let least = rates.map(\.amount).min() ?? 0
    let sentence =
      "\(RatePanel.text(mean)) on average, between \(RatePanel.text(least)) and \(RatePanel.text(most)). "
    let drawing = Drawing(
      id: "rate", title: "How fast it was copied", description: sentence,
      caption: "Content read, before it is compressed.", height: { $0.isNarrow ? 180 : 190 },
      content: { draw(on: $0) })
    return Page.paragraph(sentence) + drawing.html
  }

  private func draw(on canvas: Canvas) -> HTML {
    let end = Plot.Point(time: rates.last?.time ?? 1, amount: most * 1.06)
    let plot = Plot(canvas, height: canvas.isNarrow ? 180 : 190, end: end)
    return plot.axes(
      Ticks.seconds(upTo: end.time, most: canvas.isNarrow ? 3 : 7),
      Ticks.bytes(upTo: end.amount, most: 4, suffix: "/s"))
      + plot.curve(rates)
      + plot.line("next", [.init(time: 0, amount: mean), .init(time: end.time, amount: mean)])
      + plot.labels([
        .init(
          amount: mean, text: "mean \(ByteCount.brief(UInt64(max(0, min(mean, 1e18)))))/s",
          style: "of-next")
      ])
  }
}
