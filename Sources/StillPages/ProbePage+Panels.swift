import StillModel

extension ProbePage {
  /// A picture for each volume, all with the same axis of time.
  var panels: HTML {
    let volumes = report.volumes.indices.map { index in
      NeedPanel(report: report, index: index).html
    }
    let bounds = report.bounds.indices.compactMap { index in
      BoundPanel(report: report, index: index)?.html
    }
    guard !(volumes + bounds).isEmpty else { return "" }
    let checkpoints: HTML =
      report.samples.contains { $0.flushedFrom != nil }
      ? " A ring ○ is a checkpoint, which the probe asked for: it brings what the server had in memory to the disks."
      : ""
    let key: HTML = """
      <p><span class="key key-seen">Blue</span> is what was seen, <span class="key key-next">dashed</span> what the \
      copy will need until it ends: as expected, and no more than that with 95 % confidence.\(checkpoints)</p>

      """
    return "\(volumes.isEmpty ? "" : key)\(volumes)\(bounds)"
  }
}

extension ProbeReport {
  /// Until when the pictures go, in seconds.
  fileprivate var horizon: Double { max(watched, plan.copyTime.seconds, 1) }

  /// When the copy would end, and the probe did.
  fileprivate var moments: [(time: Double, name: String)] {
    let copy = (plan.copyTime.seconds, "the copy ends")
    return watched < plan.copyTime.seconds ? [(watched, "the probe ended"), copy] : [copy]
  }
}

/// How one snapshot filled, and what it will need until the copy is done.
private struct NeedPanel {
  private static let points = 300

  let report: ProbeReport
  let index: Int

  private var volume: ProbeReport.Volume { report.volumes[index] }
  private var need: SizeProjection { volume.need }
  private var copy: Double { report.plan.copyTime.seconds }
  private var goesOn: Bool { report.watched < copy }

  /// What its store shall have; of a thin one, what its pool shall have free. In bytes.
  private var size: UInt64 {
    volume.kind == .thin
      ? volume.recommended : min(report.snapshotSize ?? volume.recommended, volume.largest)
  }
  /// As it is typed, where it is.
  private var sizeText: String {
    size == report.snapshotSize ? ByteCount.option(size).readableOption : ByteCount.brief(size)
  }
  private var most: UInt64 { max(volume.used, need.likely, need.expected, 1 << 20) }
  /// Where the size is far above all that was seen, a picture of both would show nothing of it.
  private var showsSize: Bool { Double(size) <= 4 * Double(most) }

  var html: HTML {
    let place =
      index < report.plan.volumes.count ? report.plan.volumes[index].fileSystem.mountPoint : ""
    let heading: HTML = """
      <h3>\(volume.origin.description) <small>mounted at \(place)</small></h3>

      """
    let drawing = Drawing(
      id: "need-\(index)", title: "How the snapshot of \(volume.origin) filled",
      description: sentence, caption: caption, height: { $0.isNarrow ? 230 : 250 },
      content: { draw(on: $0) })
    return heading + Page.paragraph(sentence) + drawing.html
  }

  private var sentence: String {
    let took = volume.kind == .thin ? "Its pool grew by" : "It took"
    return
      "\(took) \(ByteCount.text(volume.used)) in \(Figures.duration(report.watched)). A copy of "
      + "\(Figures.duration(copy)) is expected to need \(ByteCount.text(need.expected)), and no more than "
      + "\(ByteCount.text(need.likely)) with 95 % confidence."
  }

  private var caption: HTML {
    need.expected < volume.used && goesOn
      ? "What is expected is less than was seen: a backup asks for fewer checkpoints than the probe."
      : ""
  }

  private func draw(on canvas: Canvas) -> HTML {
    let top = Double(showsSize ? max(most, size) : most) * 1.06
    let plot = Plot(
      canvas, height: canvas.isNarrow ? 230 : 250,
      end: .init(time: report.horizon, amount: top))
    let looks = report.samples.map {
      Plot.Point(time: $0.seconds, amount: Double(index < $0.used.count ? $0.used[index] : 0))
    }
    var drawing = plot.axes(
      Ticks.seconds(upTo: report.horizon, most: canvas.isNarrow ? 3 : 7),
      Ticks.bytes(upTo: top))
    drawing += plot.moments(report.moments)
    drawing += projection(plot, from: looks.last)
    drawing += plot.curve(looks.thinned(to: NeedPanel.points))
    if showsSize {
      drawing += plot.line(
        "size",
        [.init(time: 0, amount: Double(size)), .init(time: plot.end.time, amount: Double(size))])
    }
    for (look, point) in zip(report.samples, looks) where look.flushedFrom != nil {
      drawing += plot.dot(
        "checkpoint", point,
        "after \(Figures.duration(point.time)): \(ByteCount.text(UInt64(point.amount)))")
    }
    return drawing + plot.labels(labels(of: top))
  }

  /// From what was seen last to what is needed when the copy ends; where that is within what was seen, what
  /// is needed then.
  private func projection(_ plot: Plot, from last: Plot.Point?) -> HTML {
    let expected = Plot.Point(time: copy, amount: Double(need.expected))
    let likely = Plot.Point(time: copy, amount: Double(need.likely))
    let ends: HTML =
      plot.dot("dot", likely, "no more than \(ByteCount.text(need.likely)) with 95 % confidence")
      + plot.dot("dot", expected, "\(ByteCount.text(need.expected)) expected")
    if goesOn, let last {
      let low =
        expected.amount < last.amount ? Plot.Point(time: copy, amount: last.amount) : expected
      return plot.shape("fan", [last, likely, low]) + plot.line("likely", [last, likely])
        + (expected.amount < last.amount ? "" : plot.line("next", [last, expected]))
        + plot.line("level", [last, .init(time: copy, amount: last.amount)]) + ends
    }
    let end = plot.end.time
    return plot.line("range", [expected, likely])
      + plot.line("next", [expected, .init(time: end, amount: expected.amount)])
      + plot.line("likely", [likely, .init(time: end, amount: likely.amount)]) + ends
  }

  private func labels(of top: Double) -> [Plot.Label] {
    let sized = volume.kind == .thin ? "free" : "size"
    return [
      .init(
        amount: showsSize ? Double(size) : top,
        text: "\(sized) \(sizeText)\(showsSize ? "" : " ↑")", style: "of-size"),
      .init(
        amount: Double(need.likely), text: "95 % \(ByteCount.brief(need.likely))", style: "of-next"),
      .init(
        amount: Double(need.expected), text: "expected \(ByteCount.brief(need.expected))",
        style: "of-next"),
      .init(
        amount: Double(volume.used), text: "seen \(ByteCount.brief(volume.used))", style: "of-seen"),
    ]
  }
}

/// What was written to a file system that was not snapshotted; nil where nobody counted it by itself.
private struct BoundPanel {
  let report: ProbeReport
  let index: Int
  private let points: [Plot.Point]

  init?(report: ProbeReport, index: Int) {
    let place = report.plan.volumes.count + index
    points = report.samples.compactMap { sample in
      guard place < sample.written.count, let written = sample.written[place] else { return nil }
      return Plot.Point(time: sample.seconds, amount: Double(written))
    }
    guard points.count > 1 else { return nil }
    self.report = report
    self.index = index
  }

  private var bound: ProbeReport.Bound { report.bounds[index] }

  var html: HTML {
    let sentence =
      "\(ByteCount.text(bound.written)) were written to it in \(Figures.duration(report.watched)). No snapshot "
      + "could take more than that: an upper bound of \(ByteCount.text(bound.most)) for the copy, and mostly "
      + "much too much."
    let drawing = Drawing(
      id: "bound-\(index)", title: "What was written to \(bound.mountPoint)", description: sentence,
      caption: "All that was written, however often to the same place.", height: { _ in 210 },
      content: { draw(on: $0) })
    return "<h3>\(bound.mountPoint) <small>not snapshotted</small></h3>\n"
      + Page.paragraph(sentence) + drawing.html
  }

  private func draw(on canvas: Canvas) -> HTML {
    let top = max(Double(bound.written), points.map(\.amount).max() ?? 0, Double(1 << 20)) * 1.06
    let plot = Plot(canvas, height: 210, end: .init(time: max(report.watched, 1), amount: top))
    return plot.axes(
      Ticks.seconds(upTo: plot.end.time, most: canvas.isNarrow ? 3 : 7), Ticks.bytes(upTo: top))
      + plot.curve(points.thinned(to: 300))
      + plot.labels([
        .init(
          amount: Double(bound.written), text: "written \(ByteCount.brief(bound.written))",
          style: "of-seen")
      ])
  }
}
