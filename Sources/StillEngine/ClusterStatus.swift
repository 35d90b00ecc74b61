import StillModel
import StillSystem

/// What the backups of one cluster come to: how old the last one is, whether anything is wrong with
/// them, and what their snapshots needed.
public struct ClusterStatus: Hashable, Sendable, Codable {
  public struct Latest: Hashable, Sendable, Codable {
    public var id: RunID
    public var began: CalendarTime
    /// Seconds since it began: what was written later is not in it.
    public var age: Int64
    /// What somebody should know of it, each in a few words.
    public var faults: [String]
  }

  /// What snapshots of one volume needed.
  public struct Need: Hashable, Sendable, Codable {
    public var origin: VolumeName
    /// The most that each backup needed, in bytes, the latest first.
    public var peaks: [UInt64]
    /// Nil for too few of them.
    public var next: NightlyNeed?
    /// The sizes of the stores that ran full, in bytes, the latest first: of each, twice that is in `peaks`.
    public var overflowed: [UInt64]
  }

  public var cluster: String
  public var backups: Int
  /// The newest one that can be read; nil where there is none.
  public var latest: Latest?
  /// Those whose record cannot be read, with the reason.
  public var damaged: [String]
  public var needs: [Need]
  /// When how much is written, by the clock of this host; nil where nobody looked.
  public var hours: HourlyRates?
}

extension ClusterFolder {
  /// Reads the records of its backups; nothing is changed.
  public func status(now: CalendarTime = Clock.now()) throws -> ClusterStatus {
    let all = try backups()
    let history = FillHistory(of: self)
    var status = ClusterStatus(
      cluster: name, backups: all.count, latest: nil, damaged: [],
      needs: history.origins.map {
        let peaks = history.peaks(of: $0)
        return .init(
          origin: $0, peaks: peaks, next: NightlyNeed(peaks),
          overflowed: history.overflowed(of: $0))
      })
    var newest: [BackupRecord] = []
    for id in all.reversed() {
      do {
        let record = try backup(id.description).record()
        if newest.count < WriteHistory.runs { newest.append(record) }
        guard status.latest == nil else { continue }
        status.latest = .init(
          id: id, began: record.began,
          age: max(0, now.secondsSince1970 - record.began.secondsSince1970),
          faults: record.faults)
      } catch {
        status.damaged.append("\(id): \((error as? StillError)?.message ?? "\(error)")")
      }
    }
    status.hours = WriteHistory.rates(of: self, newest)
    return status
  }
}

extension BackupRecord {
  /// What is wrong with it, in a few words each; the whole of it stands in `show`.
  fileprivate var faults: [String] {
    var faults: [String] = []
    if !missing.isEmpty { faults.append("it lacks \(missing.joined(separator: "; "))") }
    if let bad = badPages, !bad.isEmpty {
      faults.append("\(bad.count) of the cluster's files have damaged pages")
    }
    if let proof, !proof.isGood { faults.append("its proof of \(proof.at.iso8601) failed") }
    return faults
  }
}
