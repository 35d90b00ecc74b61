import StillEngine
import StillModel
import StillSystem

/// `copy --dry-run`.
struct ElsewherePlanDocument: Displayable {
  var plan: ElsewherePlan

  func encode(to encoder: any Encoder) throws { try plan.encode(to: encoder) }

  var text: String {
    var text = "copy \(plan.id) of cluster \(plan.cluster) to \(plan.destination)\n"
    text += "there it becomes \(plan.folder), \(plan.format.rawValue), "
    text += "\(ByteCount.text(plan.bytes))\n"
    switch plan.state {
    case .nothing: break
    case .part: text += "an earlier attempt broke off; it goes on from there\n"
    case .all: text += "it is there already, and would only be compared\n"
    }
    if plan.state != .all {
      text +=
        plan.sharedWith.map { "what is the same in \($0), which is there, is shared with it\n" }
        ?? "no \(plan.format.rawValue) is there to share anything with\n"
    }
    return text
  }
}

/// `copy`.
struct ElsewhereDocument: Displayable {
  var result: ElsewhereResult

  func encode(to encoder: any Encoder) throws { try result.encode(to: encoder) }

  var text: String {
    let plan = result.plan
    var text: String
    if plan.state == .all {
      text = "\(plan.id) is at \(plan.destination) already, in \(plan.folder): "
      text += "\(result.kept) files and folders compared, all the same\n"
    } else {
      let seconds = result.phases.first { $0.name == "transfer" }?.seconds ?? 0
      text = "copied \(plan.id) to \(plan.destination), in \(plan.folder)\n"
      text += "\(result.files) files of \(ByteCount.text(result.bytes)) by sending "
      text += "\(ByteCount.text(result.sent)) in \(Figures.duration(seconds))"
      text += plan.sharedWith.map { "; the others are shared with \($0)\n" } ?? "\n"
    }
    for line in result.missing { text += "not as it is here: \(line)\n" }
    return text
  }
}
