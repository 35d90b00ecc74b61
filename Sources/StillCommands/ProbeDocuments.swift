import StillEngine
import StillModel
import StillSystem

/// `probe --dry-run`.
struct ProbePlanDocument: Displayable {
  var plan: ProbePlan

  func encode(to encoder: any Encoder) throws { try plan.encode(to: encoder) }

  var text: String {
    var text = "probe \(plan.id) of \(plan.dataDirectory) for \(Figures.duration(plan.duration)), "
    text += "a look every \(Figures.duration(plan.interval)), "
    text +=
      plan.joined.map { "joining run \($0.run), which copies\n" }
      ?? "\(ProbePlan.checkpoints.count) checkpoints\n"
    text += "for a copy of \(Figures.duration(plan.copyTime.seconds)): \(plan.copyTime.reason)\n"
    var table = TextTable([
      "volume", "mounted at", "size", "snapshot", "group has free", "size from",
    ])
    for volume in plan.volumes {
      table.add([
        volume.origin.description, volume.fileSystem.mountPoint, ByteCount.text(volume.size),
        ByteCount.text(volume.snapshotSize), ByteCount.text(volume.groupFree), volume.sizeReason,
      ])
    }
    if !plan.volumes.isEmpty { text += table.text }
    for place in plan.unfrozen {
      text += "\(place.fileSystem.mountPoint): an upper bound only, from "
      text += place.isCounted ? "what the kernel counts\n" : "what the server counts\n"
    }
    for advice in plan.advice { text += "not snapshotted: \(advice)\n" }
    if let folder = plan.keptIn { text += "what is seen is kept in \(folder)\n" }
    return text
  }
}

/// `probe`: the recommendation first.
struct ProbeDocument: Displayable {
  private static let curveWidth = 40

  /// In the words that somebody types.
  var recommendation: String
  /// In bytes; nil where no snapshot has a store of its own.
  var snapshotSize: UInt64?
  /// What ended it early; nil where nothing did.
  var endedEarly: String?
  var report: ProbeReport
  /// Nil for a probe that is shown again.
  var release: ReleaseReport?
  /// The cluster's folder in the repository where the series is kept; nil where it is not.
  var keptIn: String?
  var notes: [String]?
  /// Nil for a probe that is shown again.
  var quietHours: QuietHours?
  /// The page that was written; nil where none was wanted.
  var reportFile: String?

  init(_ report: ProbeReport) {
    self.report = report
    recommendation = report.sentence
    snapshotSize = report.snapshotSize
    endedEarly = report.earlyEnd
  }

  init(_ result: ProbeResult) {
    self.init(result.report)
    release = result.release
    keptIn = result.keptIn?.string
    notes = result.notes
    quietHours = QuietHours(result.hours)
  }

  var text: String {
    var text = recommendation + "\n"
    for (group, needed, free) in report.tightGroups {
      text +=
        "volume group \(group) has \(ByteCount.text(free)) free, and the snapshots would take "
      text += "\(ByteCount.text(needed)): add a disk (vgextend \(group) DEVICE), or make the copy "
      text += "shorter, or choose a quieter hour\n"
    }
    if let endedEarly {
      text += "ended early, after \(Figures.duration(report.watched)) of "
      text += "\(Figures.duration(report.plan.duration)): \(endedEarly)\n"
    } else {
      text += "watched for \(Figures.duration(report.watched))\n"
    }
    for volume in report.volumes {
      guard let size = volume.filled else { continue }
      text +=
        "the probe's own snapshot of \(volume.origin), \(ByteCount.text(size)), was too small: with a "
      text += "larger one (--snapshot-size) it sees more\n"
    }
    if let joined = report.plan.joined {
      text +=
        "the snapshots were those of run \(joined.run), which copies; nobody asked for a checkpoint, so "
      text += "what the server has only in memory is not counted\n"
    } else if report.volumes.contains(where: \.need.isRough) {
      text += "it ended before its first checkpoint, so what the server had only in memory is not "
      text += "counted: watch for longer\n"
    }
    if !report.volumes.isEmpty { text += volumes }
    for (index, volume) in report.volumes.enumerated() {
      text += curve(index, volume)
      text += chunks(volume)
    }
    if !report.bounds.isEmpty { text += bounds }
    for advice in report.plan.advice { text += "not snapshotted: \(advice)\n" }
    if let quietHours { text += quietHours.sentence + "\n" }
    for note in notes ?? [] { text += "note: \(note)\n" }
    if let keptIn { text += "kept as \(report.plan.id) in \(keptIn)\n" }
    if let reportFile { text += "report: \(reportFile)\n" }
    return text
  }

  private var volumes: String {
    var table = TextTable([
      "volume", "fill", "a minute: now", "median", "95 %", "most", "written", "times each",
      "copy needs", "95 % below", "recommended", "free",
    ])
    for volume in report.volumes {
      table.add([
        volume.origin.description, ByteCount.text(volume.used),
        ByteCount.text(volume.rates.current), ByteCount.text(volume.rates.median),
        ByteCount.text(volume.rates.high), ByteCount.text(volume.rates.most),
        volume.written.map(ByteCount.text) ?? "?",
        volume.rewriteFactor.map { Figures.rounded($0, 1) } ?? "?",
        ByteCount.text(volume.need.expected), ByteCount.text(volume.need.likely),
        ByteCount.text(volume.recommended), ByteCount.text(volume.free),
      ])
    }
    return table.text
  }

  /// How the fill grew, from the beginning to the end.
  private func curve(_ index: Int, _ volume: ProbeReport.Volume) -> String {
    let line = Sparkline.text(
      report.samples.map { ($0.seconds, $0.used[index]) }, width: ProbeDocument.curveWidth,
      isPlain: !Terminal.drawsUnicode)
    return "\(volume.origin)  \(line)  \(ByteCount.text(volume.used))"
      + (volume.kind == .thin ? " in its pool, whoever wrote it\n" : "\n")
  }

  private func chunks(_ volume: ProbeReport.Volume) -> String {
    guard !volume.chunkCosts.isEmpty else { return "" }
    let costs = volume.chunkCosts.map {
      "\(ByteCount.option($0.chunkSize)) \(ByteCount.text($0.bytes))"
    }
    return "  with chunks of: \(costs.joined(separator: ", "))\n"
  }

  private var bounds: String {
    var table = TextTable(["UPPER BOUND for", "written", "for the copy", "from"])
    for bound in report.bounds {
      table.add([
        bound.mountPoint, ByteCount.text(bound.written), ByteCount.text(bound.most), bound.source,
      ])
    }
    return table.text
  }
}
