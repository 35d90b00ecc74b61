/// Where a WAL record ends: records run on over page boundaries, and the headers of the pages that
/// they enter do not count to their length (`XLogBytePosToEndRecPtr` of xlog.c counts the same).
public struct WALRecordSpan: Hashable, Sendable {
  /// Bytes of the fixed beginning of a record (`SizeOfXLogRecord`); its first four bytes are the
  /// length, and never lie on two pages, because records begin at multiples of eight.
  public static let headerSize = 24

  public var start: LSN
  /// The first position after the record.
  public var end: LSN

  /// - Parameters:
  ///   - start: where the record begins, past any page header.
  ///   - length: `xl_tot_len`, in bytes.
  ///   - pageSize: in bytes.
  ///   - segmentSize: in bytes; the first page of a segment has the longer header.
  public init(start: LSN, length: UInt32, pageSize: UInt32, segmentSize: UInt32) {
    self.start = start
    var position = start.position
    var rest = UInt64(length)
    while true {
      let room = UInt64(pageSize) - position % UInt64(pageSize)
      if rest <= room {
        end = LSN(position + rest)
        return
      }
      rest -= room
      position += room
      let first = position % UInt64(segmentSize) == 0
      position += UInt64(first ? WALPageHeader.longSize : WALPageHeader.shortSize)
    }
  }

  /// The length that the first four bytes of a record state; nil where no record begins.
  public static func length(_ bytes: [UInt8]) -> UInt32? {
    guard bytes.count >= 4 else { return nil }
    let length: UInt32 = bytes.littleEndian(at: 0)
    return isLength(length) ? length : nil
  }

  /// Whether a record can have this length. XLogRecordMaxSize is 1020 MiB.
  static func isLength(_ length: UInt32) -> Bool {
    length >= UInt32(headerSize) && length <= 1020 << 20
  }
}
