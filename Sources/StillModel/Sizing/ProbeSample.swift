/// One look at a cluster's volumes during a probe.
public struct ProbeSample: Hashable, Sendable, Codable {
  /// Since the freeze.
  public var seconds: Double
  /// WAL since the freeze, in bytes.
  public var wal: UInt64
  /// Of each frozen volume: bytes of its snapshot's store that are used, or by which its thin pool has
  /// grown since the freeze.
  public var used: [UInt64]
  /// Bytes written since the freeze to each file system of the cluster, by the kernel's statistics; nil
  /// where it has none. The frozen ones come first.
  public var written: [UInt64?]
  /// Set where everything that was changed until then, in seconds since the freeze, had just been brought to
  /// the disks: when that began.
  public var flushedFrom: Double?

  public init(
    seconds: Double, wal: UInt64, used: [UInt64], written: [UInt64?], flushedFrom: Double? = nil
  ) {
    self.seconds = seconds
    self.wal = wal
    self.used = used
    self.written = written
    self.flushedFrom = flushedFrom
  }
}
