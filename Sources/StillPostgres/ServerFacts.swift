import StillModel

/// What a running server says of itself, as far as a backup wants to know.
public struct ServerFacts: Hashable, Sendable, Codable {
  /// A tablespace outside the data directory.
  public struct TablespaceEntry: Hashable, Sendable, Codable {
    public var oid: UInt32
    public var name: String
    /// Where its link points; a path relative to the data directory for a tablespace in place
    /// (`allow_in_place_tablespaces`).
    public var location: String
  }

  /// What the session's role may do.
  public struct Role: Hashable, Sendable, Codable {
    public var name: String
    public var isSuperuser: Bool
    /// `CHECKPOINT`.
    public var mayCheckpoint: Bool
    /// Settings that only superusers see by default, such as `data_directory`.
    public var mayReadSettings: Bool
    /// The functions that begin and end a backup.
    public var mayBackUp: Bool
    /// Replication slots.
    public var mayReplicate: Bool
  }

  /// Files outside the catalog that make the server what it is; absolute paths.
  public struct Configuration: Hashable, Sendable, Codable {
    public var configFile: String
    public var hbaFile: String
    public var identFile: String
    /// Every file that a setting came from, with the includes of the three.
    public var files: [String]
    /// False where the role may not see the includes: then `files` holds the three only.
    public var isComplete: Bool
  }

  /// `server_version_num`: 150018 is 15.18.
  public var versionNumber: Int
  /// `15.18 (Debian 15.18-0+deb12u1)`
  public var versionText: String
  public var systemIdentifier: UInt64
  public var dataDirectory: String
  /// In recovery: `pg_is_in_recovery()`.
  public var isStandby: Bool
  /// The timeline that is being written, or replayed.
  public var timeline: UInt32
  /// Empty where none is set.
  public var clusterName: String
  /// In bytes.
  public var walSegmentSize: UInt32
  /// In bytes.
  public var blockSize: UInt32
  public var hasDataChecksums: Bool
  /// `minimal`, `replica` or `logical`.
  public var walLevel: String
  public var fullPageWrites: Bool
  public var fsync: Bool
  /// `off`, `on` or `always`.
  public var archiveMode: String
  public var maxReplicationSlots: Int
  public var tablespaces: [TablespaceEntry]
  public var configuration: Configuration
  public var role: Role

  /// 15
  public var majorVersion: Int { versionNumber / 10000 }
}
