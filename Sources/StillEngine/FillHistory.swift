import StillModel
import SystemPackage

/// What earlier backups of a cluster needed of the snapshots of its volumes.
struct FillHistory {
  /// So many of the latest backups count; what was long ago was another load.
  private static let nights = 14

  private struct Night {
    /// In bytes; of one that overflowed, the size of its store.
    var bytes: UInt64
    var hasOverflowed: Bool
  }

  /// The latest first.
  private var nights: [VolumeName: [Night]] = [:]

  /// Reads the records of a cluster's backups, and of those that were given up; one that cannot be read is
  /// `verify`'s business.
  init(of cluster: ClusterFolder?) {
    guard let cluster, let backups = try? cluster.backups() else { return }
    let newest = backups.sorted(by: >).prefix(Self.nights)
    let givenUp = FillHistory.overflows(
      of: cluster, since: newest.count < Self.nights ? nil : newest.last)
    var identifier: UInt64?
    for id in (backups + givenUp.map(\.id)).sorted(by: >).prefix(Self.nights) {
      if let record = givenUp.first(where: { $0.id == id }) {
        // The folder's name may have been another cluster's before.
        identifier = identifier ?? record.systemIdentifier
        if record.systemIdentifier == identifier, let overflow = record.overflow { add(overflow) }
      } else if let record = try? cluster.backup(id.description).record() {
        identifier = identifier ?? record.server.systemIdentifier
        add(record)
      }
    }
  }

  private mutating func add(_ record: BackupRecord) {
    guard let freeze = record.freeze else { return }
    // The fill of a thin snapshot is that of its pool.
    for (index, volume) in freeze.volumes.enumerated() where volume.fill.metadata == nil {
      let seen = record.fillHistory.compactMap { index < $0.used.count ? $0.used[index] : nil }
      nights[volume.origin, default: []].append(
        Night(bytes: max(seen.max() ?? 0, volume.fill.used), hasOverflowed: false))
    }
  }

  private mutating func add(_ overflow: HistoryRecord.Overflow) {
    for origin in overflow.origins {
      // The others were not seen to the end.
      guard let size = overflow.size(of: origin) else { continue }
      nights[origin, default: []].append(Night(bytes: size, hasOverflowed: true))
    }
  }

  /// - Parameter oldest: nothing before it is read; nil for everything.
  private static func overflows(
    of cluster: ClusterFolder, since oldest: RunID?
  ) -> [HistoryRecord] {
    guard let history = try? cluster.history(), let ids = try? history.ids() else { return [] }
    return ids.filter { id in oldest.map { id > $0 } ?? true }
      .compactMap { try? history.record($0) }.filter { $0.overflow != nil }
  }

  var origins: [VolumeName] { nights.keys.sorted() }

  /// The most that each backup needed for this origin, in bytes, the latest first. Of one that overflowed nobody
  /// knows: twice what it had.
  func peaks(of origin: VolumeName) -> [UInt64] {
    (nights[origin] ?? []).map { $0.hasOverflowed ? $0.bytes * SnapshotSize.safety : $0.bytes }
  }

  /// The same without those that overflowed.
  func measured(of origin: VolumeName) -> [UInt64] {
    (nights[origin] ?? []).filter { !$0.hasOverflowed }.map(\.bytes)
  }

  /// The sizes of the stores that ran full, in bytes, the latest first.
  func overflowed(of origin: VolumeName) -> [UInt64] {
    (nights[origin] ?? []).filter(\.hasOverflowed).map(\.bytes)
  }
}
