/// What `global/pg_control` says of a cluster: `ControlFileData` of PostgreSQL's
/// src/include/catalog/pg_control.h, from version 11 on (before that, the offsets differ).
///
/// No list of versions stands here. The fields at the beginning have not moved since 11; the later
/// ones are found from `floatFormat`, a constant that PostgreSQL writes between them; and the end of
/// the structure is where its checksum proves it.
public struct ControlFile: Hashable, Sendable, Codable {
  /// `DBState`: how the server was when it last wrote the file. A server that was killed leaves
  /// `inProduction`, so that is no proof that one runs.
  public enum State: UInt32, Sendable, Codable {
    case startingUp = 0
    case shutDown = 1
    case shutDownInRecovery = 2
    case shuttingDown = 3
    case inCrashRecovery = 4
    case inArchiveRecovery = 5
    case inProduction = 6

    /// As pg_controldata says it.
    public var text: String {
      switch self {
      case .startingUp: "starting up"
      case .shutDown: "shut down"
      case .shutDownInRecovery: "shut down in recovery"
      case .shuttingDown: "shutting down"
      case .inCrashRecovery: "in crash recovery"
      case .inArchiveRecovery: "in archive recovery"
      case .inProduction: "in production"
      }
    }

    /// Stopped in order: the files are consistent without any WAL but the last checkpoint's.
    public var isShutDown: Bool { self == .shutDown || self == .shutDownInRecovery }
  }

  /// Made by initdb, shared by a primary and its standbys.
  public var systemIdentifier: UInt64
  /// `PG_CONTROL_VERSION`: 1300 for PostgreSQL 13 to 16, 1700 for 17.
  public var controlVersion: UInt32
  /// `CATALOG_VERSION_NO`: 202209061 for PostgreSQL 15.
  public var catalogVersion: UInt32
  public var state: State
  /// When the file was last written.
  public var modified: CalendarTime
  /// Where the record of the last checkpoint begins.
  public var checkpoint: LSN
  /// Where recovery has to begin to read: at or before `checkpoint`.
  public var redo: LSN
  /// The timeline of the last checkpoint.
  public var timeline: UInt32
  /// The timeline before it, where that checkpoint began a new one; else the same.
  public var previousTimeline: UInt32
  public var fullPageWrites: Bool
  /// How far a server in archive recovery has to replay before its files are consistent; nil where
  /// there is no such limit (a primary).
  public var minimumRecoveryPoint: LSN?
  /// The timeline that `minimumRecoveryPoint` lies on.
  public var minimumRecoveryTimeline: UInt32
  /// Bytes of a page of a relation.
  public var blockSize: UInt32
  /// Pages of a file of a relation; what is beyond lies in the next file, `16384.1`.
  public var blocksPerFile: UInt32
  /// Bytes of a page of WAL.
  public var walBlockSize: UInt32
  /// Bytes of a WAL segment.
  public var walSegmentSize: UInt32
  /// 0 where pages carry no checksum.
  public var checksumVersion: UInt32

  /// What the server had room for; a standby needs at least as much, and so does whoever takes over
  /// its prepared transactions.
  public struct Limits: Hashable, Sendable, Codable {
    /// `max_connections`
    public var connections: UInt32
    /// `max_prepared_transactions`
    public var preparedTransactions: UInt32
    /// `max_locks_per_transaction`
    public var locksPerTransaction: UInt32
  }

  public var limits: Limits

  /// The largest that the structure may ever be (`PG_CONTROL_MAX_SAFE_SIZE`): it has to lie in one
  /// disk sector, to be written in one piece.
  public static let largestStructure = 512

  /// Reads the bytes of a control file.
  ///
  /// - Throws: `.failed` where it is too short, or damaged, or of a version before 11.
  public init(bytes: [UInt8]) throws {
    guard bytes.count >= ControlFile.largestStructure else {
      throw ControlFile.damaged("it has only \(bytes.count) bytes")
    }
    controlVersion = bytes.littleEndian(at: 8)
    guard let end = ControlFile.checksumOffset(bytes) else {
      throw ControlFile.damaged("its checksum is wrong")
    }
    guard controlVersion >= 1100 else {
      throw StillError(
        .failed, "the control file has version \(controlVersion), of PostgreSQL 10 or earlier",
        hint: "Clusters from PostgreSQL 11 on can be read.")
    }
    systemIdentifier = bytes.littleEndian(at: 0)
    catalogVersion = bytes.littleEndian(at: 12)
    let stateNumber: UInt32 = bytes.littleEndian(at: 16)
    guard let state = State(rawValue: stateNumber) else {
      throw ControlFile.damaged("it names the unknown state \(stateNumber)")
    }
    self.state = state
    modified = CalendarTime(secondsSince1970: bytes.littleEndian(at: 24))
    checkpoint = LSN(bytes.littleEndian(at: 32))
    redo = LSN(bytes.littleEndian(at: 40))
    timeline = bytes.littleEndian(at: 48)
    previousTimeline = bytes.littleEndian(at: 52)
    fullPageWrites = bytes[56] != 0

    guard let anchor = ControlFile.anchorOffset(bytes, before: end), anchor >= 128,
      anchor + 48 <= end
    else {
      throw ControlFile.damaged("its block sizes are not where they should be")
    }
    let minimum: UInt64 = bytes.littleEndian(at: anchor - 72)
    minimumRecoveryPoint = minimum == 0 ? nil : LSN(minimum)
    minimumRecoveryTimeline = bytes.littleEndian(at: anchor - 64)
    // max_wal_senders came between them with 12, whose control file has version 1201.
    let moved = controlVersion >= 1201 ? 4 : 0
    limits = Limits(
      connections: bytes.littleEndian(at: anchor - 28),
      preparedTransactions: bytes.littleEndian(at: anchor - 20 + moved),
      locksPerTransaction: bytes.littleEndian(at: anchor - 16 + moved))
    blockSize = bytes.littleEndian(at: anchor + 8)
    blocksPerFile = bytes.littleEndian(at: anchor + 12)
    walBlockSize = bytes.littleEndian(at: anchor + 16)
    walSegmentSize = bytes.littleEndian(at: anchor + 20)
    checksumVersion = bytes.littleEndian(at: anchor + 44)
    guard WALSegmentName.isValidSize(walSegmentSize), walBlockSize.nonzeroBitCount == 1,
      walBlockSize >= 1024, walBlockSize <= 65536
    else {
      throw ControlFile.damaged(
        "it says WAL segments of \(walSegmentSize) bytes in pages of \(walBlockSize)")
    }
  }

  /// The timeline that recovery will follow at least: a server that was promoted a moment ago has
  /// its new timeline in the minimum recovery point only, until its first checkpoint
  /// (`StartupXLOG`, and `CreateEndOfRecoveryRecord` of xlog.c).
  public var recoveryTimeline: UInt32 {
    minimumRecoveryPoint == nil ? timeline : max(timeline, minimumRecoveryTimeline)
  }

  /// The folder that a server of this version makes in every tablespace: `PG_15_202209061`
  /// (`TABLESPACE_VERSION_DIRECTORY` of src/include/common/relpath.h).
  public func tablespaceFolder(major: Int) -> String { "PG_\(major)_\(catalogVersion)" }

  /// Where the checksum stands, which is the structure's last field: at the only offset whose number
  /// is the checksum of everything before it.
  static func checksumOffset(_ bytes: [UInt8]) -> Int? {
    var checksum: UInt32 = 0xFFFF_FFFF
    for offset in 0...(largestStructure - 4) {
      // Version 11 has some 280 bytes; a match far before that would be chance.
      if offset >= 160, offset % 4 == 0, bytes.littleEndian(at: offset) == ~checksum {
        return offset
      }
      checksum =
        castagnoli[Int(UInt8(truncatingIfNeeded: checksum) ^ bytes[offset])]
        ^ (checksum >> 8)
    }
    return nil
  }

  /// The checksum that belongs behind these bytes.
  static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt32 {
    ~bytes.reduce(0xFFFF_FFFF) { checksum, byte in
      castagnoli[Int(UInt8(truncatingIfNeeded: checksum) ^ byte)] ^ (checksum >> 8)
    }
  }

  /// Where `floatFormat` stands. From 11 to 18 `minRecoveryPoint` and its followers kept their distance
  /// before it, and the block sizes theirs after it, while the structures around them grew.
  private static func anchorOffset(_ bytes: [UInt8], before end: Int) -> Int? {
    stride(from: 128, to: end, by: 8).first {
      bytes.littleEndian(at: $0, as: UInt64.self) == (1234567.0).bitPattern
    }
  }

  private static func damaged(_ why: String) -> StillError {
    StillError(
      .failed, "the control file (global/pg_control) is damaged: \(why)",
      hint: "pg_controldata shows what PostgreSQL makes of it.")
  }
}

/// CRC-32C (Castagnoli), byte by byte: src/port/pg_crc32c_sb8.c without its speed.
private let castagnoli: [UInt32] = (0..<256).map { byte in
  (0..<8).reduce(UInt32(byte)) { value, _ in
    value & 1 == 0 ? value >> 1 : (value >> 1) ^ 0x82F6_3B78
  }
}
