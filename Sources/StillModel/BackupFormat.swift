/// What a backup is on the disk.
public enum BackupFormat: String, Codable, Sendable, CaseIterable {
  /// Archives, one for the data directory and one for each tablespace.
  case tar
  /// The files themselves, in folders; those that have not changed are shared with the backup before.
  case mirror
}
