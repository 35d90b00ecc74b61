import StillEngine
import StillModel
import StillSystem

/// `backup --dry-run`.
struct PlanDocument: Displayable {
  var plan: BackupPlan

  func encode(to encoder: any Encoder) throws { try plan.encode(to: encoder) }

  var text: String {
    var text = "backup \(plan.id) of \(plan.layout.dataDirectory.path) to \(plan.repository)\n"
    text += "consistency: \(plan.consistency.rawValue), because \(plan.reason)\n"
    let kind = plan.format == .tar ? "compression: \(plan.compression)" : "format: mirror"
    text += "\(kind), \(plan.workers) threads\n"
    var table = TextTable([
      "volume", "file system", "mounted at", "size", "snapshot", "group has free", "size from",
    ])
    for volume in plan.volumes {
      table.add([
        volume.origin.description, volume.fileSystem.kind, volume.fileSystem.mountPoint,
        ByteCount.text(volume.size), ByteCount.text(volume.snapshotSize),
        ByteCount.text(volume.groupFree), volume.sizeReason,
      ])
    }
    if !plan.volumes.isEmpty { text += table.text }
    if let stopping = plan.stopping { text += "downtime: \(stopping.sentence)\n" }
    for advice in plan.advice { text += "not frozen: \(advice)\n" }
    for tablespace in plan.layout.tablespaces {
      text += "tablespace \(tablespace.oid): \(tablespace.target)\n"
    }
    if plan.layout.walIsLinked { text += "pg_wal: \(plan.layout.wal.path)\n" }
    if !plan.configuration.isEmpty {
      text += "configuration: \(plan.configuration.joined(separator: ", "))\n"
    }
    return text
  }
}

/// `backup`: the record, with what happened after it was written.
struct BackupDocument: Displayable {
  var path: String
  var release: ReleaseReport
  var seconds: [String: Double]
  var bytesRead: UInt64
  var bytesWritten: UInt64
  var files: Int
  var backup: BackupRecord
  /// Nil where none was wanted.
  var copy: BackupCopy?

  init(_ result: BackupResult, copy: BackupCopy? = nil) {
    self.copy = copy
    path = result.path.string
    release = result.release
    seconds = Dictionary(result.phases.map { ($0.name, $0.seconds) }, uniquingKeysWith: +)
    bytesRead = result.record.bytesRead
    bytesWritten = result.record.bytesWritten
    files = result.record.files
    backup = result.record
  }

  var text: String {
    let copySeconds = max(seconds["copy"] ?? 0, 0.001)
    var text = "published \(path)\n"
    if let downtime = backup.downtime {
      text +=
        "the server was down for \(Figures.duration(downtime.seconds)), of which its stop took "
      text += "\(Figures.duration(downtime.stopSeconds)); it was proved to run by a query\n"
    }
    if let freeze = backup.freeze {
      text += "froze \(freeze.volumes.count) volumes at \(freeze.at.iso8601): "
      text += "window \(Figures.milliseconds(freeze.windowMilliseconds)), "
      text += "skew \(Figures.milliseconds(freeze.skewMilliseconds))\n"
      text += FreezeTable.text(freeze)
    }
    if let online = backup.online {
      text += "in the server's backup mode from \(online.start) to \(online.stop)"
      text += online.hadSlot ? "\n" : ", without a replication slot\n"
    }
    text +=
      "copied \(files) files, \(ByteCount.text(bytesRead)) into \(ByteCount.text(bytesWritten)) "
    text +=
      "(\(backup.mirror == nil ? backup.compression : "mirror")) in \(Figures.duration(copySeconds)), "
    text += "\(ByteCount.text(UInt64(Double(bytesRead) / copySeconds)))/s\n"
    if let mirror = backup.mirror { text += mirror.sentence + "\n" }
    text += "WAL from \(backup.wal.redo): \(backup.wal.segmentsKept.count) segments kept, "
    text += "\(backup.wal.segmentsLeftOut) left out"
    if let lsn = backup.wal.lsnBeforeFreeze {
      text += "; committed before the freeze: up to \(lsn)"
    }
    text += "\n"
    for grown in backup.extensions ?? [] {
      text += "extended the snapshot of \(grown.origin) from \(ByteCount.text(grown.from)) to "
      text += "\(ByteCount.text(grown.to)) after \(Figures.duration(grown.seconds))\n"
    }
    for line in backup.missing { text += "not in the backup: \(line)\n" }
    for bad in backup.badPages ?? [] { text += "damaged in the cluster: \(bad.text)\n" }
    if let copied = copy?.result { text += ElsewhereDocument(result: copied).text }
    return text
  }
}

extension BackupRecord.Mirror {
  /// What it shares.
  var sentence: String {
    guard let sharedWith else { return "shared nothing: there was no mirror before" }
    return
      "shared with \(sharedWith): \(ByteCount.text(sharing.linked)) in files that are the same, "
      + "\(ByteCount.text(sharing.cloned)) in blocks of others"
  }
}

/// The window, volume by volume.
enum FreezeTable {
  static func text(_ freeze: BackupRecord.Freeze) -> String {
    // Nobody knows it of records from before it was written down.
    let hasReasons = freeze.volumes.contains { $0.sizeReason != nil }
    var table = TextTable(
      ["  volume", "suspended at", "resumed at", "held", "fill at the end"]
        + (hasReasons ? ["size from"] : []))
    for volume in freeze.volumes {
      table.add([
        "  \(volume.origin)", Figures.milliseconds(volume.suspend.begin),
        Figures.milliseconds(volume.resume.end),
        Figures.milliseconds(volume.resume.end - volume.suspend.begin),
        "\(Figures.percent(volume.fill.share)) of \(ByteCount.text(volume.fill.size))",
        volume.sizeReason ?? "",
      ])
    }
    return table.text
  }
}

/// `check`.
struct CheckDocument: Displayable {
  var report: CheckReport

  func encode(to encoder: any Encoder) throws { try report.encode(to: encoder) }

  var text: String {
    var text = ""
    for item in report.items {
      text += "\(item.isGood ? "ok  " : "NO  ")\(item.name): \(item.detail)\n"
      if let hint = item.hint { text += "      hint: \(hint)\n" }
    }
    if let plan = report.plan {
      for advice in plan.advice { text += "for a better mode: \(advice)\n" }
    }
    return text
  }
}
