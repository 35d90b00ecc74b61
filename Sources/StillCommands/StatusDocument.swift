import StillEngine
import StillModel
import StillSystem

/// `status`.
struct StatusDocument: Displayable {
  struct Held: Encodable {
    /// Seconds since the run began.
    var age: Int64
    var set: HeldSet

    enum Key: CodingKey { case age }

    func encode(to encoder: any Encoder) throws {
      try set.encode(to: encoder)
      var container = encoder.container(keyedBy: Key.self)
      try container.encode(age, forKey: .age)
    }
  }

  var held: [Held]
  /// Where a repository was named.
  var clusters: [ClusterStatus]?

  init(_ sets: [HeldSet], _ clusters: [ClusterStatus]?, now: CalendarTime = Clock.now()) {
    self.clusters = clusters
    held = sets.map {
      Held(age: max(0, now.secondsSince1970 - $0.began.secondsSince1970), set: $0)
    }
  }

  var text: String {
    (held.isEmpty ? "nothing is held\n" : held.map(text).joined())
      + (clusters ?? []).map(text).joined()
  }

  private func text(_ status: ClusterStatus) -> String {
    var text = "cluster \(status.cluster): "
    if let latest = status.latest {
      text += "last backup \(latest.id), \(Figures.duration(Double(latest.age))) ago, of "
      text += "\(status.backups)\n"
      for fault in latest.faults { text += "  \(fault)\n" }
    } else {
      text += "no backup\n"
    }
    for damaged in status.damaged { text += "  DAMAGED: \(damaged)\n" }
    var table = TextTable()
    for need in status.needs {
      table.add([
        "  \(need.origin)",
        "needed " + need.peaks.prefix(5).map(ByteCount.text).joined(separator: ", "),
        need.next.map { "the next at most \(ByteCount.text($0.likely)) (95 %)" } ?? "",
        StatusDocument.trend(need.peaks),
        need.overflowed.first.map { "overflowed at \(ByteCount.text($0))" } ?? "",
      ])
    }
    text += table.text
    if let hours = status.hours { text += "  \(hours.sentence)\n" }
    return text
  }

  /// Night by night, tonight's end on the right; nothing for what is no curve yet.
  private static func trend(_ peaks: [UInt64]) -> String {
    guard peaks.count >= NightlyNeed.nightsNeeded else { return "" }
    let nights = peaks.reversed().enumerated().map { (Double($0.offset), $0.element) }
    return Sparkline.text(nights, width: nights.count, isPlain: !Terminal.drawsUnicode)
  }

  private func text(_ held: Held) -> String {
    let set = held.set
    var text = "run \(set.run)  "
    text += set.isAlive ? "at work" : "DEAD, pgstill release gives back what it holds"
    text += ", began \(Figures.duration(Double(held.age))) ago, origins "
    text += set.origins.map(\.description).joined(separator: ", ") + "\n"
    var table = TextTable()
    for snapshot in set.snapshots {
      table.add([
        "  \(snapshot.name)", snapshot.kind.rawValue, StatusDocument.fill(snapshot),
      ])
    }
    text += table.text
    for device in set.suspendedDevices { text += "  SUSPENDED: /dev/mapper/\(device)\n" }
    return text
  }

  private static func fill(_ snapshot: HeldSet.Snapshot) -> String {
    let size = ByteCount.text(snapshot.size)
    guard let fill = snapshot.fill else { return "\(size), not taken" }
    guard fill.state == .valid else { return "\(size), INVALID" }
    guard let metadata = fill.metadata else { return "\(Figures.percent(fill.share)) of \(size)" }
    return "\(size), its pool is at \(Figures.percent(fill.share)) of "
      + "\(ByteCount.text(fill.size)), metadata \(Figures.percent(metadata))"
  }
}
