import StillEngine
import StillModel
import StillSystem

/// `migrate --dry-run`.
struct MigrationPlanDocument: Displayable {
  var plan: MigrationPlan

  private enum Key: CodingKey { case forecast }

  func encode(to encoder: any Encoder) throws {
    try plan.encode(to: encoder)
    var more = encoder.container(keyedBy: Key.self)
    try more.encode(plan.forecast, forKey: .forecast)
  }

  private var forecast: String {
    let forecast = plan.forecast
    return "at \(ByteCount.text(forecast.rate))/s the first pass would take "
      + "\(Figures.duration(forecast.firstPassSeconds))"
      + (plan.isRehearsal
        ? ""
        : "; a final pass now would compare \(forecast.finalFiles) files, "
          + "\(ByteCount.text(forecast.finalBytes)), about \(Figures.duration(forecast.finalPassSeconds)), "
          + "and with it the servers' stop and start")
  }

  var text: String {
    var text = "move \(plan.dataDirectory) to \(plan.target), \(ByteCount.text(plan.size))\n"
    for place in plan.places {
      let what =
        switch place.kind {
        case .data: "data"
        case .wal: "WAL"
        case .tablespace(let oid): "tablespace \(oid)"
        }
      text += "\(what): \(place.source) to \(place.target), \(place.files) files, "
      text += "\(ByteCount.text(place.size))\n"
    }
    if plan.isResumed { text += "the target holds an earlier pass; everything is compared\n" }
    text += "passes while the server runs: \(plan.mostPasses) at most\n"
    text +=
      plan.volumes.isEmpty
      ? "they read the live files: \(plan.sourceReason)\n"
      : "they read snapshots of "
        + plan.volumes.map { volume in
          "\(volume.origin)"
            + (volume.snapshotSize > 0 ? " (\(ByteCount.text(volume.snapshotSize)))" : "")
        }.joined(separator: ", ") + ": \(plan.sourceReason)\n"
    text += "forecast: \(forecast)\n"
    guard !plan.isRehearsal else {
      return text + "a rehearsal: the old server runs on, nothing moves\n"
    }
    text += "final pass: \(plan.finalPass.rawValue), \(plan.finalPassReason)\n"
    if let seconds = plan.mostDowntime {
      text += "downtime: \(Figures.duration(seconds)) at most, then \(plan.onOverrun.rawValue)\n"
    }
    text += "stop with: \(plan.control.stopLine(within: plan.stopLimit))\n"
    if let line = plan.startLine {
      text += "start with: \(line)\n"
    } else {
      text += "the new server is started by somebody else\n"
    }
    text += "if it fails, the old one is started with: \(plan.control.startLine)\n"
    for line in plan.advice { text += "note: \(line)\n" }
    for part in plan.rebuild {
      text += "rebuild in database \(part.database): \(part.indexes.joined(separator: ", "))\n"
    }
    return text
  }
}

/// `migrate`.
struct MigrationDocument: Displayable {
  var report: MigrationReport

  func encode(to encoder: any Encoder) throws { try report.encode(to: encoder) }

  var text: String {
    let plan = report.plan
    var text = plan.isRehearsal ? "rehearsed" : "moved"
    text += " \(plan.dataDirectory) to \(plan.target)\n"
    for pass in report.passes { text += "\(pass.sentence)\n" }
    if let downtime = report.downtime {
      text += "downtime: "
      text += downtime.seenByClient.map { "\(Figures.duration($0)) as a client saw it; " } ?? ""
      text += "stop \(Figures.duration(downtime.stop)), copy \(Figures.duration(downtime.copy))"
      text += downtime.start.map { ", start \(Figures.duration($0))" } ?? ""
      text += "\n"
    }
    if let check = report.check {
      text +=
        check.failure.map { "not compared afterwards: \($0)\n" }
        ?? "compared afterwards: \(check.files) files and folders, \(check.unlike.count) unlike\n"
      for file in check.unlike { text += "UNLIKE THE OLD ONE: \(file)\n" }
    }
    for line in report.next { text += "next: \(line)\n" }
    return text
  }
}

/// `migrate --undo`.
struct UndoDocument: Displayable {
  var result: UndoResult

  func encode(to encoder: any Encoder) throws { try result.encode(to: encoder) }

  var text: String {
    result.isStarted
      ? "the old server of \(result.dataDirectory) runs again\n"
      : "\(result.dataDirectory) is a cluster again; start it as root: \(result.startLine)\n"
  }
}
