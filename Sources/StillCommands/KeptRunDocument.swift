import StillModel
import StillSystem

/// `show` of a run that published no backup.
struct KeptRunDocument: Displayable {
  var path: String
  var kept: HistoryRecord
  /// The page that was written; nil where none was wanted.
  var reportFile: String?

  private enum Key: CodingKey { case path, id, cluster, overflow, reportFile }

  /// A probe is the same document as it was.
  func encode(to encoder: any Encoder) throws {
    if let probe = kept.probe { try ProbeDocument(probe).encode(to: encoder) }
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(path, forKey: .path)
    try container.encode(kept.id, forKey: .id)
    try container.encode(kept.cluster, forKey: .cluster)
    try container.encodeIfPresent(kept.overflow, forKey: .overflow)
    try container.encodeIfPresent(reportFile, forKey: .reportFile)
  }

  var text: String {
    var text = kept.overflow == nil ? "probe " : "backup that was given up "
    text += "\(kept.id) of cluster \(kept.cluster)\n"
    text += "  path          \(path)\n"
    if let probe = kept.probe {
      if let began = probe.began { text += "  taken         \(began.iso8601)\n" }
      text += ProbeDocument(probe).text
    }
    if let overflow = kept.overflow {
      text += "  frozen        \(overflow.began.iso8601)\n  \(overflow.message)\n"
    }
    if let reportFile { text += "report: \(reportFile)\n" }
    return text
  }
}
