/// What the file of a WAL segment holds, by the headers of its pages: so little of it is kept that
/// all segments of a backup can be compared with what recovery needs.
public struct WALSegmentPages: Hashable, Sendable {
  public enum Content: Hashable, Sendable {
    /// Pages of the log that say the position which they have by the segment's name.
    case log(timeline: UInt32)
    case zeros
    /// Pages that say another position, the first of them this one: an older segment's.
    case other(address: LSN)
    case noise
  }

  /// Pages one after the other that hold the same.
  public struct Stretch: Hashable, Sendable {
    public var content: Content
    public var start: LSN
    public var end: LSN
  }

  public var name: WALSegmentName
  /// Of the file, in bytes.
  public var size: UInt64
  /// What the first page says of the segment; nil where it is none.
  public var header: WALPageHeader.SegmentHeader?
  /// From the segment's first page to its last; empty for a file that has not the size of a segment.
  public var stretches: [Stretch]

  /// Pages are looked at this far apart, in bytes: `XLOG_BLCKSZ` as everybody has it. Of smaller
  /// pages some are passed over.
  public static let distance: UInt32 = 8192

  /// - Parameters:
  ///   - size: of the file, in bytes.
  ///   - headers: the first bytes of the page at each multiple of `distance`,
  ///     `WALPageHeader.longSize` of them each.
  public init(_ name: WALSegmentName, size: UInt64, headers: [UInt8]) {
    self.name = name
    self.size = size
    header = WALPageHeader(bytes: headers)?.segment
    stretches = []
    guard size == UInt64(name.size) else { return }
    let step = max(WALSegmentPages.distance, header?.pageSize ?? 0)
    let skip = Int(step / WALSegmentPages.distance)
    for page in stride(from: 0, to: headers.count / WALPageHeader.longSize, by: skip) {
      let first = page * WALPageHeader.longSize
      let bytes = headers[first..<first + WALPageHeader.longSize]
      let start = LSN(name.start.position + UInt64(page) * UInt64(WALSegmentPages.distance))
      add(WALSegmentPages.content(Array(bytes), at: start), start, UInt64(step))
    }
  }

  private mutating func add(_ content: Content, _ start: LSN, _ length: UInt64) {
    let end = LSN(start.position + length)
    if let last = stretches.indices.last, stretches[last].content.continues(in: content) {
      stretches[last].end = end
    } else {
      stretches.append(Stretch(content: content, start: start, end: end))
    }
  }

  private static func content(_ bytes: [UInt8], at start: LSN) -> Content {
    guard let header = WALPageHeader(bytes: bytes) else {
      return bytes.prefix(WALPageHeader.shortSize).allSatisfy { $0 == 0 } ? .zeros : .noise
    }
    return header.address == start
      ? .log(timeline: header.timeline) : .other(address: header.address)
  }
}

extension WALSegmentPages.Content {
  fileprivate func continues(in other: WALSegmentPages.Content) -> Bool {
    if case .other = self, case .other = other { return true }
    return self == other
  }

  /// "is full of zeros", for messages.
  public var text: String {
    switch self {
    case .log(let timeline): "holds timeline \(timeline)"
    case .zeros: "is full of zeros"
    case .other(let address): "holds the log from \(address) instead"
    case .noise: "holds something that is not WAL"
    }
  }
}
