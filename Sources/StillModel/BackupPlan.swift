/// How large a snapshot's COW store shall be (`--snapshot-size`).
public enum SnapshotSize: Hashable, Sendable, CustomStringConvertible {
  /// In bytes.
  case bytes(UInt64)
  /// In hundredths of the origin's size.
  case percentOfOrigin(UInt64)

  /// A fifth of the origin: ample for the hour that a copy takes, small enough for most groups.
  public static let standard = SnapshotSize.percentOfOrigin(20)

  /// No store is smaller than this, in bytes.
  public static let least: UInt64 = 64 << 20

  /// Reads `10G` or `15%`; nil for anything else.
  public init?(_ text: String) {
    if text.hasSuffix("%"), let percent = UInt64(text.dropLast()), (1...110).contains(percent) {
      self = .percentOfOrigin(percent)
    } else if !text.hasSuffix("%"), let bytes = ByteCount.parse(text), bytes > 0 {
      self = .bytes(bytes)
    } else {
      return nil
    }
  }

  public var description: String {
    switch self {
    case .bytes(let bytes): ByteCount.text(bytes)
    case .percentOfOrigin(let percent): "\(percent)% of the origin"
    }
  }

  /// The size to ask LVM for, in bytes: whole extents, and never more than a store that could hold
  /// every chunk of the origin with the table that says which (16 bytes a chunk of 4 KiB, and one
  /// chunk of header).
  public func resolved(for volume: VolumeFacts) -> UInt64 {
    let wanted: UInt64
    switch self {
    case .bytes(let bytes): wanted = bytes
    case .percentOfOrigin(let percent):
      wanted = max(SnapshotSize.least, volume.size / 100 * percent)
    }
    let most = volume.size + volume.size / 256 + (1 << 20)
    let extent = max(volume.extentSize, 1)
    return (min(wanted, most) + extent - 1) / extent * extent
  }
}

/// What a backup is going to do; `--dry-run` prints it and stops.
public struct BackupPlan: Hashable, Sendable, Codable {
  public struct Volume: Hashable, Sendable, Codable {
    public var origin: VolumeName
    /// In bytes.
    public var size: UInt64
    /// The size of the snapshot's COW store, in bytes.
    public var snapshotSize: UInt64
    /// Unused room of its volume group before the snapshots, in bytes.
    public var groupFree: UInt64
    public var fileSystem: MountedFileSystem

    public init(
      origin: VolumeName, size: UInt64, snapshotSize: UInt64, groupFree: UInt64,
      fileSystem: MountedFileSystem
    ) {
      self.origin = origin
      self.size = size
      self.snapshotSize = snapshotSize
      self.groupFree = groupFree
      self.fileSystem = fileSystem
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
  public var compression: String
  public var workers: Int
  public var layout: ClusterLayout
  /// The volumes that are frozen; what lies on others is read from the live files.
  public var volumes: [Volume]
  /// Files of configuration that live outside the data directory.
  public var configuration: [String]

  public init(
    id: RunID, cluster: String, repository: String, consistency: Consistency, reason: String,
    advice: [String], compression: String, workers: Int, layout: ClusterLayout, volumes: [Volume],
    configuration: [String]
  ) {
    self.id = id
    self.cluster = cluster
    self.repository = repository
    self.consistency = consistency
    self.reason = reason
    self.advice = advice
    self.compression = compression
    self.workers = workers
    self.layout = layout
    self.volumes = volumes
    self.configuration = configuration
  }

  /// Whether a folder of the cluster is read from a frozen volume.
  public func freezes(_ location: Location) -> Bool {
    volumes.contains { $0.fileSystem.device == location.fileSystem.device }
  }
}
