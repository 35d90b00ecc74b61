import StillModel

extension ProbePage {
  var tables: HTML { needs + chunks + bounds }

  private var needs: HTML {
    guard !report.volumes.isEmpty else { return "" }
    var table = DataTable(
      name: "What was seen of each volume, and what it needs",
      heading: [
        "volume", "fill", "a minute: now", "median", "95 %", "most", "written", "times each",
        "copy needs", "95 % below", "recommended", "free",
      ])
    for volume in report.volumes {
      table.rows.append([
        volume.origin.description, ByteCount.text(volume.used),
        ByteCount.text(volume.rates.current), ByteCount.text(volume.rates.median),
        ByteCount.text(volume.rates.high), ByteCount.text(volume.rates.most),
        volume.written.map(ByteCount.text) ?? "?",
        volume.rewriteFactor.map { Figures.rounded($0, 1) } ?? "?",
        ByteCount.text(volume.need.expected), ByteCount.text(volume.need.likely),
        ByteCount.text(volume.recommended), ByteCount.text(volume.free),
      ])
    }
    return table.html
      + Page.paragraph(
        "Written is what went to the volume in the same time, and times each how often a place was written "
          + "that was written at all: a snapshot keeps each only once. Free is what the volume group, or the "
          + "pool, has.")
  }

  private var chunks: HTML {
    let volumes = report.volumes.filter { !$0.chunkCosts.isEmpty }
    let sizes = Set(volumes.flatMap { $0.chunkCosts.map(\.chunkSize) }).sorted()
    guard !sizes.isEmpty else { return "" }
    var table = DataTable(
      name: "What the same writes would have cost with other chunks",
      heading: ["chunks of"] + sizes.map { ByteCount.option($0).readableOption })
    for volume in volumes {
      table.rows.append(
        [volume.origin.description]
          + sizes.map { size in
            volume.chunkCosts.first { $0.chunkSize == size }.map { ByteCount.text($0.bytes) } ?? ""
          })
    }
    return "<h3>The same writes with larger chunks</h3>\n" + table.html
  }

  private var bounds: HTML {
    guard !report.bounds.isEmpty else { return "" }
    var table = DataTable(
      name: "Upper bounds", heading: ["UPPER BOUND for", "written", "for the copy", "from"],
      words: [3])
    for bound in report.bounds {
      table.rows.append([
        bound.mountPoint, ByteCount.text(bound.written), ByteCount.text(bound.most), bound.source,
      ])
    }
    return table.html
  }

  var measured: HTML {
    let plan = report.plan
    let checkpoints = report.samples.filter { $0.flushedFrom != nil }.count
    let seen =
      report.volumes.isEmpty
      ? "Nothing was snapshotted; what is written was counted"
      : "The volumes were snapshotted at one instant, as a backup does it; nothing was copied, and the "
        + "snapshots were removed"
    let facts = [
      ("probe", plan.id.description), ("data directory", plan.dataDirectory),
      ("began", plan.id.began.readable),
      (
        "watched",
        "\(Figures.duration(report.watched)), \(report.samples.count) looks, one every "
          + Figures.duration(plan.interval)
      ),
      ("checkpoints", "\(checkpoints), which the probe asked for"),
      ("the copy", "\(Figures.duration(plan.copyTime.seconds)): \(plan.copyTime.reason)"),
      ("safety", "\(Figures.rounded(plan.safety, 1)) times what the probe did not see"),
    ]
    let method =
      report.volumes.isEmpty
      ? "An upper bound is what was written in the time of the probe, for as long as the copy takes, times "
        + "the safety."
      : "What fills a snapshot is the number of different places that are written, so the curve bends: "
        + "rows that are updated again and again cost once, rows that are appended cost each time. A "
        + "family of such curves was weighed by what was seen between the checkpoints. Expected is their "
        + "weighted mean when the copy ends; 95 % of their weight stays below the other figure, and a tenth is "
        + "added to that, for no night is like another."
    return Page.paragraph(
      "\(seen). It holds for a load like that of the probe: probe at the hour of the backup.")
      + Page.facts(facts.map { (name: $0.0, text: $0.1) }) + Page.paragraph(method)
  }
}
