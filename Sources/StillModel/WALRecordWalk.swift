/// Follows the records of a log while the bytes of its segments pass by, just as recovery will
/// (`XLogDecodeNextRecord` of src/backend/access/transam/xlogreader.c): each record names the one
/// before it, so old bytes in a segment that was recycled are never taken for log. Where the walk
/// ends, recovery ends.
///
/// It looks for tablespaces that the log creates. Recovery creates each of them again at its old
/// path, over a link that leads elsewhere by then, and gives up where that folder is no more
/// (`tblspc_redo` of src/backend/commands/tablespace.c).
public struct WALRecordWalk: Sendable {
  public struct NewTablespace: Hashable, Sendable {
    public var oid: UInt32
    /// Empty for one inside the data directory.
    public var path: String

    public init(oid: UInt32, path: String) {
      self.oid = oid
      self.path = path
    }
  }

  /// Where it began.
  public let start: LSN
  /// In the order of the log; also those that were dropped again.
  public private(set) var newTablespaces: [NewTablespace] = []
  /// The first position after the last whole record; where that is a segment switch, the end of its
  /// segment.
  public private(set) var end: LSN

  private let pageSize: Int
  /// Where the last whole record begins.
  private var previous: UInt64?
  /// Of the next byte to come.
  private var position: UInt64?
  /// The beginning of a page whose end is yet to come.
  private var page: [UInt8] = []
  private var record: Record?
  private var isOver = false
  /// After a switch nothing more is in the segment.
  private var isSwitched = false
  private var segmentEnd: UInt64 = 0

  /// A record that is being read, of which `left` bytes are still to come.
  private struct Record {
    var start: UInt64
    var left: Int
    /// Its beginning; of a record about tablespaces, all of it.
    var bytes: [UInt8] = []

    init(start: UInt64, length: UInt32) {
      self.start = start
      left = Int(length)
    }

    var hasHeader: Bool { bytes.count >= WALRecordSpan.headerSize }
    /// `xl_prev`, `xl_info` without the bits that mean the same in all records, `xl_rmid`.
    var previous: UInt64 { bytes.littleEndian(at: 8) }
    var kind: UInt8 { bytes[16] & 0xF0 }
    var manager: UInt8 { bytes[17] }

    mutating func take(_ piece: UnsafeRawBufferPointer) {
      let beginning = piece.prefix(max(0, WALRecordSpan.headerSize - bytes.count))
      bytes += beginning
      if hasHeader, manager == Manager.tablespaces {
        bytes += piece[beginning.count...].prefix(max(0, 8192 - bytes.count))
      }
      left -= piece.count
    }
  }

  /// Numbers of src/include/access/rmgrlist.h, to which new ones are added only at the end.
  private enum Manager {
    static let log: UInt8 = 0
    static let tablespaces: UInt8 = 5
  }

  /// - Parameters:
  ///   - start: where a record begins.
  ///   - pageSize: in bytes.
  public init(start: LSN, pageSize: UInt32) {
    self.start = start
    end = start
    self.pageSize = Int(pageSize)
  }

  /// The bytes that come next are those of `segment`, from its beginning. Of several timelines only
  /// the newest that has a file for these positions may be shown: recovery reads no other.
  public mutating func enter(_ segment: WALSegmentName) {
    if let position, position != segment.start.position { isOver = true }
    position = segment.start.position
    segmentEnd = segment.end.position
    isSwitched = false
    page.removeAll(keepingCapacity: true)
  }

  public mutating func take(_ bytes: UnsafeRawBufferPointer) {
    var bytes = bytes
    while !bytes.isEmpty {
      if page.isEmpty, bytes.count >= pageSize {
        see(UnsafeRawBufferPointer(rebasing: bytes[..<pageSize]))
        bytes = UnsafeRawBufferPointer(rebasing: bytes[pageSize...])
        continue
      }
      let count = min(pageSize - page.count, bytes.count)
      page += bytes[..<count]
      bytes = UnsafeRawBufferPointer(rebasing: bytes[count...])
      guard page.count == pageSize else { return }
      let whole = page
      page.removeAll(keepingCapacity: true)
      whole.withUnsafeBytes { see($0) }
    }
  }

  private mutating func see(_ page: UnsafeRawBufferPointer) {
    guard let address = position else { return }
    position = address + UInt64(pageSize)
    // The first record begins at `end`.
    guard !isOver, !isSwitched, address + UInt64(pageSize) > end.position else { return }
    guard let header = WALPageHeader(bytes: Array(page.prefix(WALPageHeader.longSize))),
      header.address.position == address
    else { return isOver = true }
    var offset = header.segment == nil ? WALPageHeader.shortSize : WALPageHeader.longSize
    if previous == nil, record == nil {
      if end.position > address { offset = max(offset, Int(end.position - address)) }
    } else if record != nil, header.startsOver {
      // The rest of that record was never written (XLP_FIRST_IS_OVERWRITE_CONTRECORD).
      record = nil
    } else if let record {
      guard header.continuesRecord, Int(header.remaining) == record.left else {
        return isOver = true
      }
      read(page, at: address, &offset)
    } else if header.continuesRecord {
      return isOver = true
    }
    while !isOver, !isSwitched, record == nil, offset < pageSize {
      let length = page.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
      guard WALRecordSpan.isLength(length) else { return isOver = true }
      record = Record(start: address + UInt64(offset), length: length)
      read(page, at: address, &offset)
    }
  }

  /// Reads what a page has of the record; `offset` goes on to the next one.
  private mutating func read(
    _ page: UnsafeRawBufferPointer, at address: UInt64, _ offset: inout Int
  ) {
    let last = min(offset + (record?.left ?? 0), pageSize)
    record?.take(UnsafeRawBufferPointer(rebasing: page[offset..<last]))
    // Records begin at multiples of eight.
    offset = (last + 7) & ~7
    guard let record else { return }
    if record.hasHeader, let previous, record.previous != previous { return isOver = true }
    guard record.left == 0 else { return }
    self.record = nil
    previous = record.start
    end = LSN(address + UInt64(offset))
    // XLOG_SWITCH of src/include/catalog/pg_control.h.
    if record.manager == Manager.log, record.kind == 0x40 {
      isSwitched = true
      end = LSN(segmentEnd)
    }
    if let new = WALRecordWalk.newTablespace(record) { newTablespaces.append(new) }
  }

  /// What `XLOG_TBLSPC_CREATE` says: `xl_tblspc_create_rec` of src/include/commands/tablespace.h, the
  /// only data of a record whose form src/include/access/xlogrecord.h describes.
  private static func newTablespace(_ record: Record) -> NewTablespace? {
    guard record.manager == Manager.tablespaces, record.kind == 0 else { return nil }
    let bytes = record.bytes
    var offset = WALRecordSpan.headerSize
    while offset < bytes.count {
      switch bytes[offset] {
      case 253: offset += 3  // XLR_BLOCK_ID_ORIGIN
      case 252: offset += 5  // XLR_BLOCK_ID_TOPLEVEL_XID
      case 254, 255:  // XLR_BLOCK_ID_DATA_LONG and _SHORT
        let data = Array(bytes[min(offset + (bytes[offset] == 255 ? 2 : 5), bytes.count)...])
        guard data.count >= 4 else { return NewTablespace(oid: 0, path: "") }
        return NewTablespace(
          oid: data.littleEndian(at: 0),
          path: String(decoding: data[4...].prefix { $0 != 0 }, as: UTF8.self))
      default: return NewTablespace(oid: 0, path: "")
      }
    }
    return NewTablespace(oid: 0, path: "")
  }
}
