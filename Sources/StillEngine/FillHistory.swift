import StillModel
import SystemPackage

/// What earlier backups of a cluster needed of the snapshots of its volumes.
struct FillHistory {
  /// So many of the latest backups count; what was long ago was another load.
  private static let nights = 14

  private var peaks: [VolumeName: [UInt64]] = [:]

  /// Reads the records of a cluster's backups; one that cannot be read is `verify`'s business.
  init(of cluster: ClusterFolder?) {
    guard let cluster, let backups = try? cluster.backups() else { return }
    for id in backups.sorted(by: >).prefix(Self.nights) {
      guard let record = try? cluster.backup(id.description).record(), let freeze = record.freeze
      else { continue }
      // The fill of a thin snapshot is that of its pool.
      for (index, volume) in freeze.volumes.enumerated() where volume.fill.metadata == nil {
        let seen = record.fillHistory.compactMap { index < $0.used.count ? $0.used[index] : nil }
        peaks[volume.origin, default: []].append(max(seen.max() ?? 0, volume.fill.used))
      }
    }
  }

  var origins: [VolumeName] { peaks.keys.sorted() }

  /// The most that each backup needed for this origin, in bytes, the latest first.
  func peaks(of origin: VolumeName) -> [UInt64] { peaks[origin] ?? [] }
}
