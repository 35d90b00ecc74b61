import StillModel
import SystemPackage

/// One file of a backup, as PostgreSQL's manifest lists it.
public struct ManifestFile: Hashable, Sendable {
  /// Counted from the data directory; a tablespace's with `pg_tblspc/OID` in front.
  public var path: FilePath
  /// In bytes.
  public var size: UInt64
  public var modified: CalendarTime
  public var checksum: Checksum

  public init(path: FilePath, size: UInt64, modified: CalendarTime, checksum: Checksum) {
    self.path = path
    self.size = size
    self.modified = modified
    self.checksum = checksum
  }
}

/// WAL that recovery of a backup needs.
public struct WALRange: Hashable, Sendable, Codable {
  public var timeline: UInt32
  public var start: LSN
  public var end: LSN

  public init(timeline: UInt32, start: LSN, end: LSN) {
    self.timeline = timeline
    self.start = start
    self.end = end
  }
}

/// PostgreSQL's backup manifest (manual, "Backup Manifest Format";
/// src/backend/backup/backup_manifest.c): the files of a backup with size and checksum, and the WAL
/// that it needs. Not listed are the WAL and the manifest itself.
public struct BackupManifest: Hashable, Sendable {
  /// The cluster's, where the manifest says it (version 2, PostgreSQL 17 and up).
  public var systemIdentifier: UInt64?
  public var files: [ManifestFile]
  public var walRanges: [WALRange]

  public static let fileName = FilePath("backup_manifest")

  /// Without `systemIdentifier` it is of version 1, for PostgreSQL 13 to 16, whose programs refuse
  /// version 2.
  public init(systemIdentifier: UInt64?, files: [ManifestFile], walRanges: [WALRange]) {
    self.systemIdentifier = systemIdentifier
    self.files = files
    self.walRanges = walRanges
  }

  public var version: Int { systemIdentifier == nil ? 1 : 2 }
}
