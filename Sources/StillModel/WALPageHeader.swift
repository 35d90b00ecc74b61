/// The beginning of a page of WAL: `XLogPageHeaderData` and, on the first page of a segment,
/// `XLogLongPageHeaderData` (src/include/access/xlog_internal.h).
public struct WALPageHeader: Hashable, Sendable {
  /// What only the first page of a segment says.
  public struct SegmentHeader: Hashable, Sendable {
    public var systemIdentifier: UInt64
    /// In bytes.
    public var segmentSize: UInt32
    /// In bytes.
    public var pageSize: UInt32

    public init(systemIdentifier: UInt64, segmentSize: UInt32, pageSize: UInt32) {
      self.systemIdentifier = systemIdentifier
      self.segmentSize = segmentSize
      self.pageSize = pageSize
    }
  }

  /// Bytes of the header of an ordinary page, and of the first page of a segment.
  public static let shortSize = 24
  public static let longSize = 40

  /// `XLOG_PAGE_MAGIC`, another one for each major version; never zero.
  public var magic: UInt16
  public var flags: UInt16
  /// The timeline that was written on when the page began.
  public var timeline: UInt32
  /// Where the page begins.
  public var address: LSN
  /// Bytes of a record of the page before that are still to come.
  public var remaining: UInt32
  public var segment: SegmentHeader?

  /// Whether the page begins with the rest of a record.
  public var continuesRecord: Bool { flags & 1 != 0 }

  /// Whether the rest of a record of the page before was never written, and the log goes on with
  /// another record (`XLP_FIRST_IS_OVERWRITE_CONTRECORD`): the server crashed there.
  public var startsOver: Bool { flags & 8 != 0 }

  /// Reads a header; nil where there is none: zeros, unknown flags or too few bytes.
  public init?(bytes: [UInt8]) {
    guard bytes.count >= WALPageHeader.shortSize else { return nil }
    magic = bytes.littleEndian(at: 0)
    flags = bytes.littleEndian(at: 2)
    timeline = bytes.littleEndian(at: 4)
    address = LSN(bytes.littleEndian(at: 8))
    remaining = bytes.littleEndian(at: 16)
    // XLP_ALL_FLAGS is 0x0007 up to PostgreSQL 14 and 0x000F since; leave room for one to come.
    guard magic != 0, flags < 0x20, timeline != 0 else { return nil }
    guard flags & 2 != 0 else { return }
    guard bytes.count >= WALPageHeader.longSize else { return nil }
    segment = SegmentHeader(
      systemIdentifier: bytes.littleEndian(at: 24), segmentSize: bytes.littleEndian(at: 32),
      pageSize: bytes.littleEndian(at: 36))
  }
}
