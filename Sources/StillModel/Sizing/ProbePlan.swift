/// What a probe is going to do; `--dry-run` prints it and stops.
public struct ProbePlan: Hashable, Sendable, Codable {
  /// A file system of the cluster that no snapshot tells of, only what is written to it.
  public struct Unfrozen: Hashable, Sendable, Codable {
    public var fileSystem: MountedFileSystem
    /// Whether the kernel counts what is written to its device; else the server's own figures stand in, and
    /// they are of the whole cluster.
    public var isCounted: Bool

    public init(fileSystem: MountedFileSystem, isCounted: Bool) {
      self.fileSystem = fileSystem
      self.isCounted = isCounted
    }
  }

  /// How long the copy takes that the snapshots shall last for.
  public struct CopyTime: Hashable, Sendable, Codable {
    public var seconds: Double
    /// Where that comes from.
    public var reason: String

    public init(seconds: Double, reason: String) {
      self.seconds = seconds
      self.reason = reason
    }
  }

  /// The set of another run that is watched, where one that copies holds the volumes.
  public struct Joined: Hashable, Sendable, Codable {
    public var run: RunID
    /// When it was frozen, since 1970.
    public var frozenMicroseconds: Int64

    public init(run: RunID, frozenMicroseconds: Int64) {
      self.run = run
      self.frozenMicroseconds = frozenMicroseconds
    }
  }

  public var id: RunID
  public var dataDirectory: String
  public var layout: ClusterLayout
  /// The volumes that are snapshotted.
  public var volumes: [BackupPlan.Volume]
  /// The file systems that are not.
  public var unfrozen: [Unfrozen]
  /// Why they are not, each with its way out.
  public var advice: [String]
  /// In seconds.
  public var duration: Double
  /// From one look to the next, in seconds.
  public var interval: Double
  public var copyTime: CopyTime
  public var safety: Double
  /// Those to count the cost of, in bytes.
  public var chunkSizes: [UInt64]
  public var pace: ServerPace
  /// Nil where the probe has snapshots of its own.
  public var joined: Joined?
  /// The cluster's folder in the repository, where the series is kept; nil where it is not.
  public var keptIn: String?

  public init(
    id: RunID, dataDirectory: String, layout: ClusterLayout, volumes: [BackupPlan.Volume],
    unfrozen: [Unfrozen], advice: [String], duration: Double, interval: Double,
    copyTime: CopyTime, safety: Double, chunkSizes: [UInt64] = OverwrittenChunks.usualSizes,
    pace: ServerPace, joined: Joined? = nil,
    keptIn: String? = nil
  ) {
    self.chunkSizes = chunkSizes
    self.joined = joined
    self.id = id
    self.dataDirectory = dataDirectory
    self.layout = layout
    self.volumes = volumes
    self.unfrozen = unfrozen
    self.advice = advice
    self.duration = duration
    self.interval = interval
    self.copyTime = copyTime
    self.safety = safety
    self.pace = pace
    self.keptIn = keptIn
  }

  /// After which shares of the time a checkpoint is asked for: early ones show how the growth bends, and the
  /// long stretch at the end what the server does when it is left alone.
  public static let checkpoints = [0.125, 0.25, 0.5, 1]

  /// Whether this file system carries `pg_wal`.
  public func carriesWAL(_ fileSystem: MountedFileSystem) -> Bool {
    layout.wal.fileSystem.device == fileSystem.device
  }

  /// The file systems whose written bytes are looked at, in the order of `ProbeSample.written`.
  public var fileSystems: [MountedFileSystem] {
    volumes.map(\.fileSystem) + unfrozen.map(\.fileSystem)
  }
}
