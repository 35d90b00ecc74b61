/// What a backup is going to do; `--dry-run` prints it and stops.
public struct BackupPlan: Hashable, Sendable, Codable {
  public struct Volume: Hashable, Sendable, Codable {
    public var origin: VolumeName
    /// In bytes.
    public var size: UInt64
    /// The size of the snapshot's COW store, in bytes.
    public var snapshotSize: UInt64
    /// Where that size comes from.
    public var sizeReason: String
    /// Unused room of its volume group before the snapshots, in bytes.
    public var groupFree: UInt64
    public var fileSystem: MountedFileSystem

    public init(
      origin: VolumeName, size: UInt64, snapshotSize: UInt64, sizeReason: String,
      groupFree: UInt64, fileSystem: MountedFileSystem
    ) {
      self.origin = origin
      self.size = size
      self.snapshotSize = snapshotSize
      self.sizeReason = sizeReason
      self.groupFree = groupFree
      self.fileSystem = fileSystem
    }
  }

  /// How the server is stopped and started, in mode `shutdown`.
  public struct Stopping: Hashable, Sendable, Codable {
    public var control: ServerControl
    /// In seconds.
    public var limit: Double
    /// True where not everything can be frozen: then the server is down until everything is copied.
    public var isDownWhileCopying: Bool
    /// Units that systemd stops together with the server's; they are started after it.
    public var dependants: [String]
    /// What has to be copied while the server is down, in bytes; nil where nothing has.
    public var bytesWhileDown: UInt64?

    public init(
      control: ServerControl, limit: Double, isDownWhileCopying: Bool, dependants: [String] = [],
      bytesWhileDown: UInt64? = nil
    ) {
      self.control = control
      self.limit = limit
      self.isDownWhileCopying = isDownWhileCopying
      self.dependants = dependants
      self.bytesWhileDown = bytesWhileDown
    }

    /// Said before it begins.
    public var sentence: String {
      (isDownWhileCopying
        ? "the server is stopped until everything is copied"
          + (bytesWhileDown.map { " (\(ByteCount.text($0)))" } ?? "")
          + ", because not everything can be frozen"
        : "the server is stopped for the freeze, and started at once")
        + "; stopped with: \(control.stopLine(within: limit)); started with: \(control.startLine)"
        + (dependants.isEmpty
          ? ""
          : "; with it systemd stops \(dependants.joined(separator: ", ")), started again after it")
    }
  }

  public var id: RunID
  public var cluster: String
  /// The folder that the backup is published in.
  public var repository: String
  public var consistency: Consistency
  /// Why this mode.
  public var reason: String
  /// What stands in the way of a better mode, each with its way out.
  public var advice: [String]
  public var format: BackupFormat
  public var compression: String
  public var workers: Int
  public var layout: ClusterLayout
  /// The volumes that are frozen; what lies on others is read from the live files.
  public var volumes: [Volume]
  /// Nil where the server runs on.
  public var stopping: Stopping?
  /// Files of configuration that live outside the data directory.
  public var configuration: [String]

  public init(
    id: RunID, cluster: String, repository: String, consistency: Consistency, reason: String,
    advice: [String], format: BackupFormat = .tar, compression: String, workers: Int,
    layout: ClusterLayout, volumes: [Volume],
    stopping: Stopping? = nil, configuration: [String]
  ) {
    self.id = id
    self.cluster = cluster
    self.repository = repository
    self.consistency = consistency
    self.reason = reason
    self.advice = advice
    self.format = format
    self.compression = compression
    self.workers = workers
    self.layout = layout
    self.volumes = volumes
    self.stopping = stopping
    self.configuration = configuration
  }

  /// Whether a folder of the cluster is read from a frozen volume.
  public func freezes(_ location: Location) -> Bool {
    volumes.contains { $0.fileSystem.device == location.fileSystem.device }
  }
}
