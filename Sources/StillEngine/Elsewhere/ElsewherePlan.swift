import StillModel
import StillSystem
import StillTransfer
import SystemPackage

/// What a copy of a backup to another repository is going to do.
public struct ElsewherePlan: Hashable, Sendable, Codable {
  /// What of the backup is in the other repository.
  public enum State: String, Hashable, Sendable, Codable {
    case nothing
    /// What an earlier attempt brought there.
    case part
    case all
  }

  public var id: RunID
  public var cluster: String
  public var format: BackupFormat
  /// The backup's folder here.
  public var source: String
  public var destination: Destination
  /// The backup's folder there, as its own host calls it.
  public var folder: String
  public var state: State
  /// The backup there that files are shared with; nil where there is none.
  public var sharedWith: RunID?
  /// What the backup's files hold, in bytes.
  public var bytes: UInt64
}

extension ElsewherePlan {
  /// Decides what a copy does, and refuses what cannot be done. Changes nothing.
  ///
  /// - Throws: `.precondition` with what stands in the way; `.usage` for a place that cannot be one.
  static func make(
    for request: ElsewhereRequest, of backup: BackupFolder, _ record: BackupRecord
  ) throws -> (plan: ElsewherePlan, rsync: Rsync, there: RepositoryElsewhere) {
    let rsync = try Rsync.find()
    let there = try RepositoryElsewhere.find(request, rsync)
    try there.requireRepository()
    let ids = try there.backups()
    var sharedWith: RunID?
    for id in ids.reversed() where id != record.id {
      guard let other = try there.record(of: id) else { continue }
      try there.require(other, isOf: record)
      guard other.kind == record.kind else { continue }
      sharedWith = id
      break
    }
    let plan = ElsewherePlan(
      id: record.id, cluster: request.cluster, format: record.kind, source: backup.path.string,
      destination: request.destination, folder: there.path(of: record.id),
      state: try there.state(of: record.id, among: ids), sharedWith: sharedWith,
      bytes: record.bytesOnDisk)
    if plan.state == .nothing { try there.requireRoom(for: record, sharing: sharedWith != nil) }
    return (plan, rsync, there)
  }
}

extension BackupRecord {
  /// What the backup's own files hold, in bytes, wherever else they have a name.
  var bytesOnDisk: UInt64 { kind == .mirror ? bytesRead : bytesWritten }

  /// What of it no earlier backup has, at least. Blocks are shared on one file system only.
  fileprivate var bytesOfItsOwn: UInt64 {
    guard let mirror else { return bytesWritten }
    return mirror.sharedWith == nil ? 0 : bytesRead - min(bytesRead, mirror.sharing.linked)
  }
}

extension RepositoryElsewhere {
  /// - Parameter sharing: whether an earlier backup is there, which may have most of it.
  fileprivate func requireRoom(for record: BackupRecord, sharing: Bool) throws {
    let needed = sharing ? record.bytesOfItsOwn : record.bytesOnDisk
    let free = try files.room(at: folder).bytes
    guard free < needed else { return }
    throw StillError(
      .precondition,
      "\(destination) has room for \(ByteCount.text(free)), but \(ByteCount.text(needed)) go there",
      hint: "Free some room there, or name another place with --to.")
  }
}
