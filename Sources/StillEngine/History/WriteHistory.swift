import StillModel
import StillSystem

/// When how much was written to a cluster's volumes, from what its runs have left.
enum WriteHistory {
  /// So many of the latest backups count, and as many others; what was long ago was another load.
  static let runs = 60

  /// - Parameter backups: the newest of the cluster's.
  /// - Returns: nil where nobody looked.
  static func rates(
    of cluster: ClusterFolder, _ backups: [BackupRecord], also more: [HourlyRates.Series] = []
  ) -> HourlyRates? {
    var others: [HistoryRecord] = []
    if let history = try? cluster.history() {
      others = ((try? history.ids()) ?? []).reversed().prefix(runs).compactMap {
        try? history.record($0)
      }
    }
    // The folder's name may have been another cluster's before.
    let identifier = backups.first?.server.systemIdentifier ?? others.first?.systemIdentifier
    others.removeAll { $0.systemIdentifier != identifier }
    let series =
      backups.compactMap { HourlyRates.Series($0) } + others.compactMap { HourlyRates.Series($0) }
    return rates(series + more)
  }

  /// - Returns: nil where nobody looked.
  static func rates(_ series: [HourlyRates.Series]) -> HourlyRates? {
    let rates = HourlyRates(series, zone: Clock.zoneOffset)
    return rates.cells.isEmpty ? nil : rates
  }
}

extension ClusterFolder {
  /// The records of the newest backups that can be read, the latest first.
  func newestRecords(_ count: Int) -> [BackupRecord] {
    ((try? backups()) ?? []).reversed().prefix(count).compactMap {
      try? backup($0.description).record()
    }
  }
}
