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
  /// Of a thin volume: its device's number inside the pool.
  var thinNumber: UInt32?
  var groupFree: UInt64
  var extentSize: UInt64
  var tags: [String]

  /// For `lvs -o`.
  static let fields =
    "vg_name,lv_name,lv_size,segtype,lv_attr,origin,pool_lv,thin_id,vg_free,vg_extent_size,lv_tags"

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
    thinNumber = UInt32(row["thin_id"] ?? "")
    groupFree = UInt64(row["vg_free"] ?? "") ?? 0
    extentSize = UInt64(row["vg_extent_size"] ?? "") ?? 0
    tags = (row["lv_tags"] ?? "").split(separator: ",").map(String.init)
  }

  /// The volume that this one is a snapshot of.
  var originName: VolumeName? { VolumeName("\(name.group)/\(origin)") }

  /// The thin pool that it lies in.
  var poolName: VolumeName? { VolumeName("\(name.group)/\(pool)") }

  /// Of a thin volume or a snapshot of one, LVM's type of segment says so.
  var kind: SnapshotKind { segmentType == "thin" ? .thin : .classic }

  /// What a backup has to know.
  ///
  /// - Parameters:
  ///   - pool: of a thin volume, its pool's status; nil where the kernel does not tell.
  ///   - hasSnapshotTarget: whether the kernel can make classic snapshots.
  func facts(
    pool: (name: VolumeName, status: ThinPoolStatus)? = nil, hasSnapshotTarget: Bool = true
  ) -> VolumeFacts {
    let obstacle = SnapshotObstacle.of(
      self, pool: pool?.status, hasSnapshotTarget: hasSnapshotTarget)
    return VolumeFacts(
      name: name, size: size, kind: kind, segmentType: segmentType, groupFree: groupFree,
      extentSize: extentSize,
      pool: pool.map {
        ThinPool(
          name: $0.name, size: $0.status.data, data: $0.status.dataShare,
          metadata: $0.status.metadataShare)
      }, obstacle: obstacle?.reason, remedy: obstacle?.remedy,
      obstacleIsLasting: obstacle?.isLasting ?? false)
  }
}
