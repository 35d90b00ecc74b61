import StillModel

/// How one snapshot of a backup filled while it was copied, beside its size.
struct FillPanel {
  private static let points = 300

  let volume: BackupRecord.Volume
  private let looks: [Plot.Point]
  private let extensions: [BackupRecord.Extension]
  private let index: Int

  init(record: BackupRecord, freeze: BackupRecord.Freeze, index: Int) {
    self.index = index
    volume = freeze.volumes[index]
    var looks = record.fillHistory.compactMap { sample in
      index < sample.used.count
        ? Plot.Point(time: max(0, sample.seconds), amount: Double(sample.used[index])) : nil
    }
    looks.sort { $0.time < $1.time }
    self.looks = looks
    let origin = volume.origin
    extensions = (record.extensions ?? []).filter { $0.origin == origin }
      .sorted { $0.seconds < $1.seconds }
  }

  private var isThin: Bool { volume.fill.metadata != nil }
  private var size: UInt64 { max(volume.fill.size, extensions.last?.to ?? 0) }
  private var most: Double {
    max(looks.map(\.amount).max() ?? 0, Double(volume.fill.used), Double(1 << 20))
  }
  private var end: Double {
    max(looks.last?.time ?? 0, extensions.last?.seconds ?? 0, 1)
  }
  /// Where the store is far larger than what was used of it, a picture of both would show nothing.
  private var showsSize: Bool { !extensions.isEmpty || Double(size) <= 4 * most }

  var html: HTML {
    let heading: HTML = """
      <h3>\(volume.origin.description) <small>\(volume.fileSystem)</small></h3>

      """
    guard looks.count > 1 else { return heading + Page.paragraph(sentence) }
    let drawing = Drawing(
      id: "fill-\(index)", title: "How the snapshot of \(volume.origin) filled",
      description: sentence, caption: "", height: { $0.isNarrow ? 200 : 210 },
      content: { draw(on: $0) })
    return heading + Page.paragraph(sentence) + drawing.html
  }

  private var sentence: String {
    let whose = isThin ? "Its pool, which it shares, was" : "At the end it was"
    var text =
      "\(whose) \(Figures.percent(volume.fill.share)) full: \(ByteCount.text(volume.fill.used)) of "
      + "\(ByteCount.text(volume.fill.size))."
    for grown in extensions {
      text +=
        " After \(Figures.duration(grown.seconds)) it was extended from \(ByteCount.text(grown.from)) to "
        + "\(ByteCount.text(grown.to))."
    }
    return text
  }

  private func draw(on canvas: Canvas) -> HTML {
    let top = max(most, showsSize ? Double(size) : 0) * 1.06
    let plot = Plot(
      canvas, height: canvas.isNarrow ? 200 : 210, end: .init(time: end, amount: top))
    var drawing = plot.axes(
      Ticks.seconds(upTo: end, most: canvas.isNarrow ? 3 : 7), Ticks.bytes(upTo: top, most: 4))
    drawing += plot.moments(
      extensions.map {
        ($0.seconds, canvas.isNarrow ? "extended" : "extended to \(ByteCount.text($0.to))")
      })
    drawing += plot.curve(looks.thinned(to: FillPanel.points))
    if showsSize { drawing += plot.line("size", sizes) }
    return drawing
      + plot.labels([
        .init(
          amount: showsSize ? Double(size) : top,
          text: "\(isThin ? "pool" : "size") \(ByteCount.brief(size))\(showsSize ? "" : " ↑")",
          style: "of-size"),
        .init(
          amount: looks.last?.amount ?? 0,
          text: "used \(ByteCount.brief(UInt64(looks.last?.amount ?? 0)))", style: "of-seen"),
      ])
  }

  /// The size as it was, in steps.
  private var sizes: [Plot.Point] {
    var level = Double(extensions.first?.from ?? size)
    var steps = [Plot.Point(time: 0, amount: level)]
    for grown in extensions {
      steps.append(.init(time: grown.seconds, amount: level))
      level = Double(grown.to)
      steps.append(.init(time: grown.seconds, amount: level))
    }
    return steps + [.init(time: end, amount: level)]
  }
}
