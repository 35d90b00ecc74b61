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
    /// What in it is not copied, counted from the folder: what has a place of its own, and what is the
    /// server's while it runs.
    public var excluded: [String]

    public init(
      kind: Kind, source: String, target: String, size: UInt64, files: UInt64, excluded: [String]
    ) {
      self.kind = kind
      self.source = source
      self.target = target
      self.size = size
      self.files = files
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

  public var id: RunID
  public var dataDirectory: String
  public var target: MigrationTarget
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
  /// What somebody should know or do, before or after.
  public var advice: [String]

  public init(
    id: RunID, dataDirectory: String, target: MigrationTarget, systemIdentifier: UInt64,
    places: [Place], links: [Link], control: ServerControl, stopLimit: Double, startLine: String?,
    finalPass: FinalPass, finalPassReason: String, mostPasses: Int, mostDowntime: Double?,
    onOverrun: OverrunPolicy, isResumed: Bool, isRehearsal: Bool, advice: [String]
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
    self.advice = advice
  }

  /// Content of all places, in bytes.
  public var size: UInt64 { places.reduce(0) { $0 + $1.size } }
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
