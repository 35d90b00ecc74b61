/// What a migration is going to do; `--dry-run` prints it and stops.
public struct MigrationPlan: Hashable, Sendable, Codable {
  /// A folder of the cluster that is copied as a whole.
  public struct Place: Hashable, Sendable, Codable {
    public enum Kind: Hashable, Sendable, Codable {
      case data, wal
      case tablespace(oid: UInt32)
    }

    public var kind: Kind
    public var source: String
    public var target: String
    /// In bytes.
    public var size: UInt64
    public var files: UInt64
    /// Of the files, those that changed within the last three minutes, and their content, in bytes.
    public var recentFiles: UInt64
    public var recentSize: UInt64
    /// What in it is not copied, counted from the folder: what has a place of its own, and what is the
    /// server's while it runs.
    public var excluded: [String]

    public init(
      kind: Kind, source: String, target: String, size: UInt64, files: UInt64,
      recentFiles: UInt64 = 0, recentSize: UInt64 = 0, excluded: [String]
    ) {
      self.kind = kind
      self.source = source
      self.target = target
      self.size = size
      self.files = files
      self.recentFiles = recentFiles
      self.recentSize = recentSize
      self.excluded = excluded
    }
  }

  /// A link that the new data directory gets.
  public struct Link: Hashable, Sendable, Codable {
    /// Counted from the data directory.
    public var path: String
    public var target: String

    public init(path: String, target: String) {
      self.path = path
      self.target = target
    }
  }

  /// Indexes of one database that another library on the other host makes wrong.
  public struct Rebuild: Hashable, Sendable, Codable {
    public var database: String
    /// As SQL names them, with their schemas.
    public var indexes: [String]

    /// Whether the database knows which version of the library it was sorted by (version 15 and later).
    public var hasVersion: Bool

    public init(database: String, indexes: [String], hasVersion: Bool) {
      self.database = database
      self.indexes = indexes
      self.hasVersion = hasVersion
    }

    /// What a person types into psql.
    public var statements: String {
      indexes.map { "REINDEX INDEX \($0);" }.joined(separator: " ")
        + (hasVersion ? refresh : "")
    }

    private var refresh: String {
      " ALTER DATABASE \"\(database.replacing("\"", with: "\"\""))\" REFRESH COLLATION VERSION;"
    }
  }

  public var id: RunID
  public var dataDirectory: String
  public var target: Destination
  public var systemIdentifier: UInt64
  public var places: [Place]
  public var links: [Link]
  /// How the old server is stopped, and started again where the migration does not succeed.
  public var control: ServerControl
  /// Seconds that it may take to stop.
  public var stopLimit: Double
  /// What starts the new server; nil where somebody else does.
  public var startLine: String?
  public var finalPass: FinalPass
  /// Why it is that one.
  public var finalPassReason: String
  public var mostPasses: Int
  /// In seconds; nil for as long as it takes.
  public var mostDowntime: Double?
  public var onOverrun: OverrunPolicy
  /// Whether the target holds an earlier pass of this cluster.
  public var isResumed: Bool
  /// Whether the old server is never stopped.
  public var isRehearsal: Bool
  /// The volumes that are frozen together for each pass; empty where live files are read.
  public var volumes: [BackupPlan.Volume]
  /// Why these, or none.
  public var sourceReason: String
  /// Seconds after which the guard ends a freeze window.
  public var freezeDeadline: Double
  public var extending: ExtensionPolicy
  /// Bytes that are sent in a second at most, while the server runs.
  public var rateLimit: UInt64?
  /// What somebody should know or do, before or after.
  public var advice: [String]
  /// What has to be rebuilt after the move, database by database.
  public var rebuild: [Rebuild]

  public init(
    id: RunID, dataDirectory: String, target: Destination, systemIdentifier: UInt64,
    places: [Place], links: [Link], control: ServerControl, stopLimit: Double, startLine: String?,
    finalPass: FinalPass, finalPassReason: String, mostPasses: Int, mostDowntime: Double?,
    onOverrun: OverrunPolicy, isResumed: Bool, isRehearsal: Bool, volumes: [BackupPlan.Volume] = [],
    sourceReason: String = "", freezeDeadline: Double = 5,
    extending: ExtensionPolicy = ExtensionPolicy(), rateLimit: UInt64? = nil,
    advice: [String],
    rebuild: [Rebuild] = []
  ) {
    self.id = id
    self.dataDirectory = dataDirectory
    self.target = target
    self.systemIdentifier = systemIdentifier
    self.places = places
    self.links = links
    self.control = control
    self.stopLimit = stopLimit
    self.startLine = startLine
    self.finalPass = finalPass
    self.finalPassReason = finalPassReason
    self.mostPasses = mostPasses
    self.mostDowntime = mostDowntime
    self.onOverrun = onOverrun
    self.isResumed = isResumed
    self.isRehearsal = isRehearsal
    self.volumes = volumes
    self.sourceReason = sourceReason
    self.freezeDeadline = freezeDeadline
    self.extending = extending
    self.rateLimit = rateLimit
    self.advice = advice
    self.rebuild = rebuild
  }

  /// Content of all places, in bytes.
  public var size: UInt64 { places.reduce(0) { $0 + $1.size } }

  /// What the passes would take, were they made now and everything read and sent at one rate.
  public struct Forecast: Hashable, Sendable, Codable {
    /// Bytes a second, assumed where none was asked for.
    public var rate: UInt64
    public var firstPassSeconds: Double
    /// Files that the final pass would compare, and their content, in bytes.
    public var finalFiles: UInt64
    public var finalBytes: UInt64
    /// The stop and the start of the servers apart.
    public var finalPassSeconds: Double

    /// A gigabit network's, and little for a disk.
    public static let standardRate: UInt64 = 100 << 20
  }

  /// The final pass is under no limit, but no faster than the assumed rate.
  public var forecast: Forecast {
    let rate = rateLimit ?? Forecast.standardRate
    let isFull = finalPass == .full
    let files = places.reduce(0) { $0 + (isFull ? $1.files : $1.recentFiles) }
    let bytes = isFull ? size : places.reduce(0) { $0 + $1.recentSize }
    return Forecast(
      rate: rate, firstPassSeconds: Double(size) / Double(rate), finalFiles: files,
      finalBytes: bytes, finalPassSeconds: Double(bytes) / Double(Forecast.standardRate))
  }
}

/// What the pass with the server down reads.
public enum FinalPass: String, Hashable, Sendable, Codable, CaseIterable {
  /// The files that can have changed since the last pass began, both sides.
  case changed
  /// Every file, both sides: `rsync --checksum`.
  case full
}

/// What happens when the downtime that was allowed is over before everything is copied.
public enum OverrunPolicy: String, Hashable, Sendable, Codable, CaseIterable {
  /// The old server is started again, and nothing has moved.
  case rollback
  case `continue`
}
