import StillModel

/// One backup as a page: what it is in a sentence, and how it went.
public struct BackupPage {
  let record: BackupRecord
  /// The repository that it lies in; nil where nobody said.
  let repository: String?

  public init(record: BackupRecord, repository: String? = nil) {
    self.record = record
    self.repository = repository
  }

  /// The whole file.
  public var html: String { Page(title: "pgstill backup \(record.id)", body: body).html }

  private var body: HTML {
    """
    <header>
    <p class="eyebrow">Backup \(record.id.description) of cluster \(record.cluster)</p>
    <h1>\(headline)</h1>
    <p class="lead">\(sentence)</p>
    \(proofLine)</header>
    \(Page.warnings("Mind", warnings))\
    \(Page.section("To get it back", restoring))\
    \(Page.section("What took how long", PhaseBars(phases: record.phases).html))\
    \(Page.section("The freeze window", freeze))\
    \(Page.section("How the snapshots filled", fill))\
    \(Page.section("How fast it was copied", RatePanel(samples: record.fillHistory)?.html ?? ""))\
    \(Page.section("What is in it", content))\
    \(Page.section("Proof", proof))\
    \(Page.section("Where it is from", origin))
    """
  }

  private var headline: String {
    let size = ByteCount.text(record.bytesRead)
    if let freeze = record.freeze, record.consistency == .snapshot {
      return
        "\(size), frozen at one instant, in \(Figures.milliseconds(freeze.windowMilliseconds))"
    }
    return record.consistency == .online
      ? "\(size), copied while the server ran" : "\(size), from a server that was stopped for it"
  }

  private var sentence: String {
    var text =
      "Taken on \(record.began.readable) in mode \(record.consistency.rawValue), because \(record.reason). "
    text += "\(record.files) files; stored in \(ByteCount.text(record.bytesWritten))"
    text += record.mirror == nil ? " (\(record.compression))." : " (mirror)."
    if let downtime = record.downtime {
      text += " The server was down for \(Figures.duration(downtime.seconds))."
    }
    return text
  }

  private var proofLine: HTML {
    guard let proof = record.proof else { return "" }
    return proof.isGood
      ? "<p><span class=\"good\">✓ Proved</span>: a server was started on a copy of it on \(proof.at.readable), and had no complaint.</p>\n"
      : "<p><span class=\"bad\">✗ The proof failed</span> on \(proof.at.readable): see below.</p>\n"
  }

  private var warnings: [String] {
    record.missing.map { "Not in the backup: \($0)" }
      + (record.badPages ?? []).map { "Damaged in the cluster itself: \($0.text)" }
      + (record.online.map { $0.hadSlot ? [] : ["Its WAL was kept without a replication slot."] }
        ?? [])
  }

  private var restoring: HTML {
    var words = ["pgstill", "restore", record.id.description, "--repo", repository ?? "DIR"]
    words += ["--cluster", record.cluster, "--target", "TARGET"]
    for tablespace in record.tablespaces {
      words += [
        "--tablespace-mapping",
        "\(tablespace.target.replacing("=", with: "\\="))=SPACE\(tablespace.oid)",
      ]
    }
    var text = "TARGET is an empty folder for the data directory"
    if !record.tablespaces.isEmpty {
      text += ", SPACE… one for each tablespace"
    }
    if repository == nil { text += ", DIR the one that holds the backups" }
    return Page.command(words.map(ShellWords.quoted)) + Page.paragraph(text + ".")
  }

  private var freeze: HTML { record.freeze.map { WindowBars(freeze: $0).html } ?? "" }

  private var fill: HTML {
    guard let freeze = record.freeze else { return "" }
    let panels = freeze.volumes.indices.map {
      FillPanel(record: record, freeze: freeze, index: $0).html
    }
    return "\(panels)"
  }
}
