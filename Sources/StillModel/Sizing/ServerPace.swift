/// How a server brings what it changes to the disks, by its own settings and files.
public struct ServerPace: Hashable, Sendable, Codable {
  /// `checkpoint_timeout`, in seconds.
  public var checkpointSeconds: Double
  /// `checkpoint_completion_target`, 0…1.
  public var completionTarget: Double
  /// `max_wal_size`, in bytes.
  public var mostWAL: UInt64
  /// `wal_keep_size`, in bytes.
  public var keptWAL: UInt64
  /// In bytes.
  public var segmentSize: UInt64
  /// What the segments in `pg_wal` take, in bytes.
  public var segments: UInt64
  /// What fits into those of them that are not written to yet, in bytes.
  public var spare: UInt64

  public init(
    checkpointSeconds: Double, completionTarget: Double, mostWAL: UInt64, keptWAL: UInt64,
    segmentSize: UInt64, segments: UInt64 = 0, spare: UInt64 = 0
  ) {
    self.checkpointSeconds = checkpointSeconds
    self.completionTarget = completionTarget
    self.mostWAL = mostWAL
    self.keptWAL = keptWAL
    self.segmentSize = segmentSize
    self.segments = segments
    self.spare = spare
  }

  /// So much WAL after a checkpoint the server begins the next one, in bytes (`CalculateCheckpointSegments`
  /// of src/backend/access/transam/xlog.c).
  var walBetweenCheckpoints: Double { Double(mostWAL) / (1 + completionTarget) }

  /// All segments together: written over and over, they cost no more than once. In bytes.
  var mostSegments: UInt64 { max(segments, mostWAL + keptWAL) + 2 * segmentSize }
}
