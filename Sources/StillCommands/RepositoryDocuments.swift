import StillArchive
import StillEngine
import StillModel
import StillSystem

/// `list`.
struct ListDocument: Displayable {
  struct Row: Encodable {
    var cluster: String
    var id: RunID
    var path: String
    var began: CalendarTime?
    var consistency: Consistency?
    var format: BackupFormat?
    var bytesRead: UInt64?
    var bytesWritten: UInt64?
    var windowMilliseconds: Double?
    /// Of the last time that a server was started on a copy of it.
    var proof: BackupRecord.Proof?
    /// Why its record cannot be read.
    var damage: String?
  }

  var backups: [Row]

  init(_ clusters: [ClusterFolder]) throws {
    backups = try clusters.flatMap { cluster in
      try cluster.backups().map { id in
        let backup = try cluster.backup(id.description)
        var row = Row(cluster: cluster.name, id: id, path: backup.path.string)
        do {
          let record = try backup.record()
          row.began = record.began
          row.consistency = record.consistency
          row.format = record.kind
          row.bytesRead = record.bytesRead
          row.bytesWritten = record.bytesWritten
          row.windowMilliseconds = record.freeze?.windowMilliseconds
          row.proof = record.proof
        } catch let failure as StillError {
          row.damage = failure.message
        }
        return row
      }
    }
  }

  var text: String {
    guard !backups.isEmpty else { return "" }
    var table = TextTable([
      "cluster", "backup", "mode", "format", "data", "stored", "window", "proof",
    ])
    for row in backups {
      if let damage = row.damage {
        table.add([row.cluster, row.id.description, "damaged: \(damage)"])
        continue
      }
      table.add([
        row.cluster, row.id.description, row.consistency?.rawValue ?? "",
        row.format?.rawValue ?? "", ByteCount.text(row.bytesRead ?? 0),
        ByteCount.text(row.bytesWritten ?? 0),
        row.windowMilliseconds.map(Figures.milliseconds) ?? "",
        row.proof.map { ($0.isGood ? "good " : "FAILED ") + $0.at.iso8601 } ?? "",
      ])
    }
    return table.text
  }
}

/// `show`.
struct ShowDocument: Displayable {
  var path: String
  var backup: BackupRecord
  /// The page that was written; nil where none was wanted.
  var reportFile: String?

  var text: String {
    let record = backup
    var text = "backup \(record.id) of cluster \(record.cluster)\n"
    text += "  path          \(path)\n"
    text += "  taken         \(record.began.iso8601) to \(record.ended.iso8601) by pgstill "
    text += "\(record.pgstillVersion)\n"
    text += "  consistency   \(record.consistency.rawValue): \(record.reason)\n"
    text +=
      "  server        PostgreSQL \(record.server.version / 10000).\(record.server.version % 10000), "
    text +=
      "system identifier \(record.server.systemIdentifier), timeline \(record.server.timeline)\n"
    text += "  data          \(record.server.dataDirectory)\n"
    for tablespace in record.tablespaces {
      text += "  tablespace    \(tablespace.oid) at \(tablespace.target)\n"
    }
    text += "  WAL           redo \(record.wal.redo), checkpoint \(record.wal.checkpoint), "
    text += "\(record.wal.segmentsKept.count) segments\n"
    if let online = record.online {
      text += "  backup mode   from \(online.start) to \(online.stop)"
      text += online.hadSlot ? "\n" : ", without a replication slot\n"
    }
    if let downtime = record.downtime {
      text += "  downtime      \(Figures.duration(downtime.seconds)), of which stopping "
      text += "\(Figures.duration(downtime.stopSeconds)); stopped with \(downtime.stoppedWith)\n"
    }
    if let freeze = record.freeze {
      text += "  freeze        \(freeze.at.iso8601), window "
      text += "\(Figures.milliseconds(freeze.windowMilliseconds)), skew "
      text += "\(Figures.milliseconds(freeze.skewMilliseconds))\n"
      text += FreezeTable.text(freeze)
    }
    if let mirror = record.mirror { text += "  mirror        \(mirror.sentence)\n" }
    var table = TextTable(["  archive", "files", "content", "stored"])
    for archive in record.archives {
      table.add([
        "  \(archive.name)", "\(archive.files)", ByteCount.text(archive.bytesRead),
        ByteCount.text(archive.bytesWritten),
      ])
    }
    for part in record.mirror?.parts ?? [] {
      table.add([
        "  \(MirrorPart.folder(of: part.name))", "\(part.files)", ByteCount.text(part.bytes), "",
      ])
    }
    text += table.text
    text += "  seconds       "
    text += record.phases.map { "\($0.name) \(Figures.rounded($0.seconds, 2))" }.joined(
      separator: ", ")
    text += "\n"
    for line in record.missing { text += "  missing       \(line)\n" }
    let shown = 10
    for apart in record.mirror?.apart.prefix(shown) ?? [] {
      text += "  kept apart    \(apart.path.path): \(apart.text)\n"
    }
    if let mirror = record.mirror, mirror.apart.count > shown || mirror.moreApart > 0 {
      text += "                and of \(max(0, mirror.apart.count - shown)) more"
      text += mirror.moreApart > 0 ? "; lost of \(mirror.moreApart)\n" : "\n"
    }
    if let bad = record.badPages {
      text += "  page checks   \(bad.isEmpty ? "every page is good" : "damaged in the cluster:")\n"
      for bad in bad { text += "                \(bad.text)\n" }
    }
    if let proof = record.proof { text += proof.lines.map { "  \($0)\n" }.joined() }
    if let reportFile { text += "report: \(reportFile)\n" }
    return text
  }
}

extension BackupRecord.Proof {
  /// What it came to, and what each check said.
  fileprivate var lines: [String] {
    let first =
      "proof         \(isGood ? "good" : "FAILED"), \(at.iso8601), PostgreSQL \(postgres), "
      + Figures.duration(seconds)
    return [first] + (checks + problems.map { "problem: \($0)" }).map { "              \($0)" }
  }
}

/// `verify`.
struct VerifyDocument: Displayable {
  var backups: [VerifyResult]

  var text: String {
    backups.map { result in
      let rate = UInt64(Double(result.bytes) / max(result.seconds, 0.001))
      let figures =
        "\(result.files) files, \(ByteCount.text(result.bytes)) in "
        + "\(Figures.duration(result.seconds)), \(ByteCount.text(rate))/s"
      let lines = result.problems + (result.proof?.lines ?? [])
      return (result.isGood ? "good  " : "BAD   ") + "\(result.id)  \(figures)\n"
        + lines.map { "      \($0)\n" }.joined()
    }.joined()
  }
}

/// `restore --dry-run`.
struct RestorePlanDocument: Displayable {
  var plan: RestorePlan

  func encode(to encoder: any Encoder) throws { try plan.encode(to: encoder) }

  var text: String {
    var text = "restore \(plan.id) to \(plan.target), \(ByteCount.text(plan.bytes))\n"
    if plan.isDelta { text += "files there that are right are kept, all others removed\n" }
    for tablespace in plan.tablespaces {
      text += "tablespace \(tablespace.oid): \(tablespace.old) to \(tablespace.new)\n"
    }
    if let folder = plan.walFolder { text += "WAL: \(folder)\n" }
    for folder in plan.cleaned { text += "also cleaned: \(folder)\n" }
    return text
  }
}

/// `restore`.
struct RestoreDocument: Displayable {
  var result: RestoreResult

  func encode(to encoder: any Encoder) throws { try result.encode(to: encoder) }

  var text: String {
    let seconds = result.phases.first { $0.name == "unpack" }?.seconds ?? 0
    var text = "restored \(result.plan.id) to \(result.plan.target): \(result.files) files, "
    text += "\(ByteCount.text(result.bytes)) in \(Figures.duration(seconds))\n"
    if let delta = result.delta {
      text += "kept \(delta.keptFiles) files, \(ByteCount.text(delta.keptBytes)), that were right; "
      text += "removed \(delta.removedFiles)\n"
    }
    for tablespace in result.plan.tablespaces {
      text += "tablespace \(tablespace.oid) is at \(tablespace.new)\n"
    }
    for line in result.missing { text += "not in the backup: \(line)\n" }
    for note in result.notes { text += "note: \(note)\n" }
    text += "start it with: pg_ctl -D \(result.plan.target) start\n"
    return text
  }
}

/// `release`.
struct ReleaseDocument: Displayable {
  var report: ReleaseReport

  func encode(to encoder: any Encoder) throws { try report.encode(to: encoder) }

  var text: String {
    report.removed.isEmpty && report.left.isEmpty
      ? "nothing was left behind\n" : report.removed.map { "removed \($0)\n" }.joined()
  }
}
