/// `backup.json`: what was backed up, when, how and from where. Everything that a restore or a later
/// question needs beside the archives themselves.
public struct BackupRecord: Hashable, Sendable, Codable {
  /// Of this file's form; a reader refuses a higher one. Only a mirror needs 2: whoever knows nothing of
  /// mirrors would take one for a backup of no archives.
  public static let currentFormat = 2

  public struct Server: Hashable, Sendable, Codable {
    /// As `server_version_num`: 150018 is 15.18.
    public var version: Int
    public var systemIdentifier: UInt64
    public var timeline: UInt32
    public var dataDirectory: String
    public var isStandby: Bool
    public var hasDataChecksums: Bool
    /// In bytes.
    public var walSegmentSize: UInt64

    public init(
      version: Int, systemIdentifier: UInt64, timeline: UInt32, dataDirectory: String,
      isStandby: Bool, hasDataChecksums: Bool, walSegmentSize: UInt64
    ) {
      self.version = version
      self.systemIdentifier = systemIdentifier
      self.timeline = timeline
      self.dataDirectory = dataDirectory
      self.isStandby = isStandby
      self.hasDataChecksums = hasDataChecksums
      self.walSegmentSize = walSegmentSize
    }
  }

  public struct TablespaceEntry: Hashable, Sendable, Codable {
    public var oid: UInt32
    public var target: String

    public init(oid: UInt32, target: String) {
      self.oid = oid
      self.target = target
    }
  }

  public struct Volume: Hashable, Sendable, Codable {
    public var origin: VolumeName
    public var snapshot: VolumeName
    public var fileSystem: String
    /// Milliseconds since the window began.
    public var suspend: Span
    public var take: Span
    public var resume: Span
    /// How full the COW store was after the last byte was read; sizes in bytes.
    public var fill: SnapshotFill
    /// What decided the size of the store at first; nil in records from before it was written down.
    public var sizeReason: String?

    public init(
      origin: VolumeName, snapshot: VolumeName, fileSystem: String, suspend: Span, take: Span,
      resume: Span, fill: SnapshotFill, sizeReason: String? = nil
    ) {
      self.origin = origin
      self.snapshot = snapshot
      self.fileSystem = fileSystem
      self.suspend = suspend
      self.take = take
      self.resume = resume
      self.fill = fill
      self.sizeReason = sizeReason
    }
  }

  public struct Freeze: Hashable, Sendable, Codable {
    /// The time of day of the first suspend, to the second.
    public var at: CalendarTime
    /// The same, in microseconds since 1970.
    public var beganMicroseconds: Int64
    /// From the first suspend to the last resume.
    public var windowMilliseconds: Double
    /// From the first to the last origin's suspend.
    public var skewMilliseconds: Double
    public var volumes: [Volume]

    public init(
      at: CalendarTime, beganMicroseconds: Int64, windowMilliseconds: Double,
      skewMilliseconds: Double, volumes: [Volume]
    ) {
      self.at = at
      self.beganMicroseconds = beganMicroseconds
      self.windowMilliseconds = windowMilliseconds
      self.skewMilliseconds = skewMilliseconds
      self.volumes = volumes
    }
  }

  public struct WAL: Hashable, Sendable, Codable {
    /// Everything before it was on disk when the freeze began, so it is in the backup; nil where
    /// nothing was frozen.
    public var lsnBeforeFreeze: LSN?
    /// Recovery begins here: from the frozen control file.
    public var redo: LSN
    public var checkpoint: LSN
    public var segmentsKept: [String]
    /// Recycled and preallocated segments, which hold nothing that recovery needs.
    public var segmentsLeftOut: Int

    public init(
      lsnBeforeFreeze: LSN?, redo: LSN, checkpoint: LSN, segmentsKept: [String],
      segmentsLeftOut: Int
    ) {
      self.lsnBeforeFreeze = lsnBeforeFreeze
      self.redo = redo
      self.checkpoint = checkpoint
      self.segmentsKept = segmentsKept
      self.segmentsLeftOut = segmentsLeftOut
    }
  }

  /// Between the server's begin and end of the backup.
  public struct Online: Hashable, Sendable, Codable {
    /// Recovery begins here.
    public var start: LSN
    /// A restored server is consistent from here on.
    public var stop: LSN
    /// Whether a replication slot kept the WAL of that time from recycling.
    public var hadSlot: Bool

    public init(start: LSN, stop: LSN, hadSlot: Bool) {
      self.start = start
      self.stop = stop
      self.hadSlot = hadSlot
    }
  }

  public struct Archive: Hashable, Sendable, Codable {
    public var name: String
    public var files: Int
    /// Folders, links and files together.
    public var members: Int
    public var bytesRead: UInt64
    public var bytesWritten: UInt64
    /// Of the archive as it lies there: the algorithm, a colon, hexadecimal digits. It notices what
    /// the checksums of files do not: a changed name or mode, a byte of padding. SHA-256 where the
    /// manifest says nothing of the files (WAL, configuration), else CRC-32C, which costs next to
    /// nothing.
    public var checksum: String

    public init(
      name: String, files: Int, members: Int, bytesRead: UInt64, bytesWritten: UInt64,
      checksum: String
    ) {
      self.name = name
      self.files = files
      self.members = members
      self.bytesRead = bytesRead
      self.bytesWritten = bytesWritten
      self.checksum = checksum
    }
  }

  public struct Phase: Hashable, Sendable, Codable {
    public var name: String
    public var seconds: Double

    public init(name: String, seconds: Double) {
      self.name = name
      self.seconds = seconds
    }
  }

  /// One look at the snapshots while they were copied.
  public struct FillSample: Hashable, Sendable, Codable {
    /// Since the freeze.
    public var seconds: Double
    /// Bytes used of each COW store, in the order of `freeze.volumes`.
    public var used: [UInt64]
    /// Bytes written to each origin since the freeze, by the kernel's statistics; nil where it has none. Nil in
    /// records from before there were any.
    public var written: [UInt64?]?
    /// Bytes of content copied by then; nil before and after the copy, and in older records.
    public var copied: UInt64?

    public init(
      seconds: Double, used: [UInt64], written: [UInt64?]? = nil, copied: UInt64? = nil
    ) {
      self.seconds = seconds
      self.used = used
      self.written = written
      self.copied = copied
    }
  }

  /// A snapshot that was made larger while it was copied.
  public struct Extension: Hashable, Sendable, Codable {
    /// Since the freeze.
    public var seconds: Double
    public var origin: VolumeName
    /// In bytes.
    public var from: UInt64
    /// In bytes.
    public var to: UInt64

    public init(seconds: Double, origin: VolumeName, from: UInt64, to: UInt64) {
      self.seconds = seconds
      self.origin = origin
      self.from = from
      self.to = to
    }
  }

  /// That the server was stopped, and for how long.
  public struct Downtime: Hashable, Sendable, Codable {
    /// From the order to stop to the proof that it runs again.
    public var seconds: Double
    /// How long the stop alone took.
    public var stopSeconds: Double
    /// As a person would type them.
    public var stoppedWith: String
    public var startedWith: String

    public init(seconds: Double, stopSeconds: Double, stoppedWith: String, startedWith: String) {
      self.seconds = seconds
      self.stopSeconds = stopSeconds
      self.stoppedWith = stoppedWith
      self.startedWith = startedWith
    }
  }

  /// So many looks are kept of a copy, evenly spread: one of a week, looked at every second, is no larger.
  public static let mostLooks = 2000

  public var format: Int
  public var id: RunID
  public var cluster: String
  public var pgstillVersion: String
  public var began: CalendarTime
  public var ended: CalendarTime
  public var consistency: Consistency
  public var reason: String
  public var server: Server
  public var tablespaces: [TablespaceEntry]
  /// Where `pg_wal` was, if a link led there.
  public var walLink: String?
  /// Nil where nothing was frozen.
  public var freeze: Freeze?
  /// Nil in every other mode.
  public var online: Online?
  public var wal: WAL
  public var compression: String
  /// None in a mirror.
  public var archives: [Archive]
  /// Nil where the backup consists of archives.
  public var mirror: Mirror?
  public var manifestSHA256: String
  public var configuration: [String]
  /// What is not in the backup though somebody may miss it, each with the reason.
  public var missing: [String]
  /// Files with damaged pages, which are in the backup as they are; nil where no page was checked.
  public var badPages: [BadPages]?
  public var phases: [Phase]
  public var fillHistory: [FillSample]
  /// Nil in records from before there were any.
  public var extensions: [Extension]?
  /// Nil where the server was not stopped.
  public var downtime: Downtime?
  /// Of the last time that a server was started on a copy of it; nil where none ever was.
  public var proof: Proof?

  public init(
    id: RunID, cluster: String, pgstillVersion: String, began: CalendarTime, ended: CalendarTime,
    consistency: Consistency, reason: String, server: Server, tablespaces: [TablespaceEntry],
    walLink: String?, freeze: Freeze?, online: Online?, wal: WAL, compression: String,
    archives: [Archive], manifestSHA256: String, configuration: [String], missing: [String],
    badPages: [BadPages]?, phases: [Phase], fillHistory: [FillSample], extensions: [Extension],
    downtime: Downtime? = nil, mirror: Mirror? = nil
  ) {
    format = mirror == nil ? 1 : BackupRecord.currentFormat
    self.id = id
    self.cluster = cluster
    self.pgstillVersion = pgstillVersion
    self.began = began
    self.ended = ended
    self.consistency = consistency
    self.reason = reason
    self.server = server
    self.tablespaces = tablespaces
    self.walLink = walLink
    self.freeze = freeze
    self.online = online
    self.wal = wal
    self.compression = compression
    self.archives = archives
    self.mirror = mirror
    self.manifestSHA256 = manifestSHA256
    self.configuration = configuration
    self.missing = missing
    self.badPages = badPages
    self.phases = phases
    self.fillHistory = fillHistory
    self.extensions = extensions
    self.downtime = downtime
  }

  public var files: Int {
    archives.reduce(0) { $0 + $1.files } + (mirror?.parts.reduce(0) { $0 + $1.files } ?? 0)
  }
  public var bytesRead: UInt64 {
    archives.reduce(0) { $0 + $1.bytesRead } + (mirror?.parts.reduce(0) { $0 + $1.bytes } ?? 0)
  }
  public var bytesWritten: UInt64 {
    archives.reduce(0) { $0 + $1.bytesWritten } + (mirror?.sharing.written ?? 0)
  }

  /// Seconds of the phase with this name; 0 if there was none.
  public func seconds(of phase: String) -> Double {
    phases.first { $0.name == phase }?.seconds ?? 0
  }
}
