import FoundationEssentials
import StillModel

/// A row of LVM's own report (`lvs -o`), its numbers in bytes.
struct LVMVolume: Equatable {
  var name: VolumeName
  var size: UInt64
  var segmentType: String
  var attributes: String
  var origin: String
  var pool: String
  var groupFree: UInt64
  var extentSize: UInt64
  var tags: [String]

  /// For `lvs -o`.
  static let fields =
    "vg_name,lv_name,lv_size,segtype,lv_attr,origin,pool_lv,vg_free,vg_extent_size,lv_tags"

  private struct Report: Decodable {
    struct Part: Decodable { var lv: [[String: String]]? }
    var report: [Part]
  }

  /// Reads `--reportformat json`. A volume of several segments has several rows; one is kept.
  static func parse(report text: String) throws -> [LVMVolume] {
    let report: Report
    do {
      report = try JSONDecoder().decode(Report.self, from: Data(text.utf8))
    } catch {
      throw StillError(.volumes, "LVM's report could not be read: \(error)")
    }
    var seen: Set<VolumeName> = []
    return report.report.flatMap { $0.lv ?? [] }.compactMap(LVMVolume.init(row:))
      .filter { seen.insert($0.name).inserted }
  }

  private init?(row: [String: String]) {
    guard let group = row["vg_name"], let volume = row["lv_name"],
      let name = VolumeName("\(group)/\(volume)"), let size = UInt64(row["lv_size"] ?? "")
    else { return nil }
    self.name = name
    self.size = size
    segmentType = row["segtype"] ?? ""
    attributes = row["lv_attr"] ?? ""
    origin = row["origin"] ?? ""
    pool = row["pool_lv"] ?? ""
    groupFree = UInt64(row["vg_free"] ?? "") ?? 0
    extentSize = UInt64(row["vg_extent_size"] ?? "") ?? 0
    tags = (row["lv_tags"] ?? "").split(separator: ",").map(String.init)
  }

  /// What a backup has to know; see lvs(8) on the characters of `lv_attr`.
  var facts: VolumeFacts {
    VolumeFacts(
      name: name, size: size, kind: kind, segmentType: segmentType, groupFree: groupFree,
      extentSize: extentSize, obstacle: obstacle)
  }

  /// The volume that this one is a snapshot of.
  var originName: VolumeName? { VolumeName("\(name.group)/\(origin)") }

  /// Of a thin volume or a snapshot of one, LVM's type of segment says so.
  var kind: SnapshotKind { segmentType == "thin" ? .thin : .classic }

  private var obstacle: String? {
    let marks = Array(attributes)
    guard marks.count >= 5 else { return "LVM does not say what it is" }
    // Suspended ("s") is active too: another run is inside its freeze window, or LVM at work.
    if marks[4] != "a", marks[4] != "s" { return "it is not active" }
    return switch marks[0] {
    case "s", "S": "it is a snapshot itself"
    case "O": "a snapshot is being merged into it"
    case "V": "it is a thin volume, which cannot be frozen together with others yet"
    case "t", "T", "d", "D", "e", "p", "v": "it is a part of another volume"
    default: nil
    }
  }
}
