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

  init(_ sets: [HeldSet], now: CalendarTime = Clock.now()) {
    held = sets.map {
      Held(age: max(0, now.secondsSince1970 - $0.began.secondsSince1970), set: $0)
    }
  }

  var text: String { held.isEmpty ? "nothing is held\n" : held.map(text).joined() }

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
