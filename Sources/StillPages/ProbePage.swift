import StillModel

/// What a probe saw, as a page for whoever has to act on it, and has perhaps never seen LVM: what to type
/// first, then why.
public struct ProbePage {
  let report: ProbeReport
  let hours: HourlyRates?
  /// Where the backups go; nil where nobody said.
  let repository: String?

  /// - Parameter hours: what earlier probes and backups say of the week; nil where nobody asked them.
  public init(report: ProbeReport, hours: HourlyRates? = nil, repository: String? = nil) {
    self.report = report
    self.hours = hours
    self.repository = repository
  }

  /// The whole file.
  public var html: String { Page(title: "pgstill probe: \(headline)", body: body).html }

  private var body: HTML {
    let plan = report.plan
    let eyebrow = "pgstill probe of \(plan.dataDirectory), \(plan.id.began.readable)"
    return """
      <header>
      <p class="eyebrow">\(eyebrow)</p>
      <h1>\(headline)</h1>
      \(recommendation)</header>
      \(Page.warnings(report.snapshotSize == nil ? "Mind" : "Before you type it", warnings))\
      \(meaning)\
      \(Page.section("How they filled", panels))\
      \(Page.section("When it is quiet", week))\
      \(Page.section("The figures", tables))\
      \(Page.section("How it was measured", measured))
      """
  }

  /// Of a few hours there is nothing to be seen.
  private var week: HTML {
    guard let hours, hours.quietest.count >= HourlyRates.fewestHours else { return "" }
    return HeatMap(hours).html
  }

  private var headline: String {
    if let size = report.snapshotSize {
      let least = isAtLeast ? " at least" : ""
      return "Tonight, give each snapshot\(least) \(ByteCount.option(size).readableOption)"
    }
    return report.volumes.isEmpty
      ? "No volume could be snapshotted: there are only upper bounds"
      : "There is no size to choose: the snapshots are thin"
  }

  private var isAtLeast: Bool { report.volumes.contains { $0.filled != nil } }

  private var recommendation: HTML {
    guard let size = report.snapshotSize else {
      return "<p class=\"lead\">\(report.sentence.sentenceCase).</p>\n"
    }
    let copy = report.plan.copyTime
    let words = [
      "pgstill", "backup", "--pgdata", report.plan.dataDirectory, "--repo", repository ?? "DIR",
      "--snapshot-size", ByteCount.option(size),
    ]
    let place =
      repository == nil ? Page.paragraph("DIR is the folder that the backups are kept in.") : ""
    return """
      <p class="lead">For a copy of \(Figures.duration(copy.seconds)) (\(copy.reason)), type\
      \(isAtLeast ? " at least" : ""):</p>
      \(Page.command(words.map(ShellWords.quoted)))\(place)
      """
  }

  private var warnings: [String] {
    var texts = report.tightGroups.map { group, needed, free in
      "The volume group \(group) has \(ByteCount.text(free)) free, and the snapshots would take "
        + "\(ByteCount.text(needed)) of it. So the backup would not begin. Add a disk (vgextend "
        + "\(group) DEVICE), or make the copy shorter, or choose a quieter hour."
    }
    for volume in report.volumes where volume.kind == .thin && volume.recommended > volume.free {
      texts.append(
        "The pool of \(volume.origin) has \(ByteCount.text(volume.free)) free, and the snapshot may "
          + "need \(ByteCount.text(volume.recommended)). A pool that runs full stops the server too: "
          + "extend it first (lvextend).")
    }
    for volume in report.volumes {
      guard let size = volume.filled else { continue }
      texts.append(
        "The probe's own snapshot of \(volume.origin), \(ByteCount.text(size)), was too small. Probe "
          + "again with a larger one (--snapshot-size) to see more.")
    }
    if let earlyEnd = report.earlyEnd {
      texts.append(
        "The probe ended early, after \(Figures.duration(report.watched)) of "
          + "\(Figures.duration(report.plan.duration)): \(earlyEnd). The less it saw, the less is known."
      )
    }
    if report.volumes.contains(where: \.need.isRough) {
      texts.append(
        "It ended before its first checkpoint, so what the server had only in memory is not counted: "
          + "watch for longer.")
    }
    return texts + report.plan.advice.map { "Not snapshotted: \($0)" }
  }

  private var meaning: HTML {
    guard !report.volumes.isEmpty else { return "" }
    let isClassic = report.snapshotSize != nil
    let room =
      isClassic
      ? "That takes room, set aside in the volume group while the copy runs and given back after it: "
        + "the more the server writes, and the longer the copy takes, the more. "
      : "That takes room in their pool until the copy is done. "
    let full =
      isClassic
      ? "If the room is too small, the snapshot runs full and is worthless. Then that night's backup "
        + "is lost, and pgstill says so; the server and its data are untouched, and go on as if nothing "
        + "had been. Too large costs nothing but room in the group for as long as the copy takes."
      : "pgstill gives its snapshots up before the pool is full: then that night's backup is lost, and "
        + "the server goes on."
    return Page.section(
      "What that means",
      Page.paragraph(
        "A backup copies your files while the server goes on writing. So that the copy shows one "
          + "single moment, a snapshot keeps the old content of everything that is overwritten "
          + "meanwhile. " + room) + Page.paragraph(full) + Page.paragraph(why))
  }

  private var why: String {
    guard let size = report.snapshotSize,
      let neediest = report.volumes.filter({ $0.kind == .classic })
        .max(by: { $0.recommended < $1.recommended })
    else { return "" }
    let chosen = ByteCount.option(size).readableOption
    if size == SnapshotSize.least, neediest.recommended < size {
      return
        "Why \(chosen): no volume needs as much, but a night may be less quiet than this probe was, and "
        + "so no snapshot is made smaller."
    }
    if let filled = neediest.filled {
      return
        "Why \(chosen): the probe's own snapshot of \(neediest.origin) had \(ByteCount.text(filled)), and that was "
        + "too little. How much more it would have taken nobody has seen."
    }
    let likely = neediest.need.likely
    let rest =
      size > likely + likely / 10
      ? "; the rest is for the night that is not like the others."
      : "; that is the size, rounded up."
    return
      "Why \(chosen): \(neediest.origin) needs the most. In such a copy it is expected to take "
      + "\(ByteCount.text(neediest.need.expected)), and no more than \(ByteCount.text(likely)) in 95 of 100 such "
      + "nights\(rest)"
  }
}

extension CalendarTime {
  /// `2026-11-21 02:00:00 UTC`
  var readable: String { String(iso8601.dropLast()).replacing("T", with: " ") + " UTC" }
}

extension String {
  /// `6.2 GiB` for `6.2G`: the size that is typed, and no other one.
  var readableOption: String {
    guard let letter = last, "KMGT".contains(letter) else { return self + " B" }
    return "\(dropLast()) \(letter)iB"
  }

  /// With a capital at its beginning.
  var sentenceCase: String { prefix(1).uppercased() + dropFirst() }
}
