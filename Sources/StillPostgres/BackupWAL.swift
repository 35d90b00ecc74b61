import StillModel
import StillSystem
import SystemPackage

/// The part of a running server's log that a copy made in backup mode needs: every segment from where
/// recovery begins to where the copy is consistent.
///
/// The server goes on while it is read. What it has written before the stop position it does not
/// change any more, but it may recycle a segment: give it another name first, then write over it. So
/// a segment that has the right pages, and after it was copied still its name, was copied whole.
public struct BackupWAL: Sendable {
  /// In the order in which recovery reads them.
  public let segments: [WALSegmentName]
  /// `00000002.history`: all that are there.
  public let histories: [FilePath]
  /// Every timeline that the log passes on its way, with its ancestors.
  public let history: WALTimelineHistory
  public let start: LSN
  public let stop: LSN
  private let folder: OpenFolder
  private let inodes: [WALSegmentName: UInt64]

  /// Finds the segments in a live `pg_wal`, and looks at each page's address.
  ///
  /// - Parameters:
  ///   - folder: `pg_wal` itself, wherever a link leads.
  ///   - label: that the end of backup mode handed out.
  ///   - stop: that it named.
  ///   - control: read after it.
  /// - Throws: `.copying` where a segment is not there any more, or holds something else.
  public static func examine(
    _ folder: OpenFolder, _ label: BackupLabel, stop: LSN, _ control: ControlFile
  ) throws -> BackupWAL {
    var histories: [UInt32: WALTimelineHistory] = [:]
    var historyNames: [FilePath] = []
    for name in try folder.names() {
      guard
        case .history(let timeline) = WALFileName(name.string, segmentSize: control.walSegmentSize)
      else { continue }
      let text = String(decoding: try folder.file(name).readAll(limit: 16 << 20), as: UTF8.self)
      histories[timeline] = try WALTimelineHistory(timeline: timeline, text: text)
      historyNames.append(name)
    }
    // A standby follows its primary from timeline to timeline; a primary that changes its own is one
    // that was a standby, and does not end a backup that it began as such.
    let last = label.isFromStandby ? max(label.timeline, control.recoveryTimeline) : label.timeline
    let history = histories[last] ?? WALTimelineHistory(timeline: last)

    let search = SegmentSearch(
      folder: folder, control: control, history: history, start: label.start, stop: stop)
    let found = try search.segments()
    return BackupWAL(
      segments: found.map(\.name), histories: historyNames, history: history,
      start: label.start, stop: stop, folder: folder,
      inodes: Dictionary(uniqueKeysWithValues: found.map { ($0.name, $0.inode) }))
  }

  /// Opens a segment, the one that was examined.
  ///
  /// - Throws: `.copying` where it was recycled since.
  public func open(_ segment: WALSegmentName) throws -> OpenFile {
    try requireThere(segment)
    return try folder.file(FilePath(segment.description))
  }

  /// To be asked after a segment was copied.
  ///
  /// - Throws: `.copying` where it has lost its name since it was examined.
  public func requireThere(_ segment: WALSegmentName) throws {
    let name = FilePath(segment.description)
    guard try folder.metadataIfPresent(of: name)?.inode == inodes[segment] else {
      throw SegmentSearch.missing(segment, "was recycled while it was copied")
    }
  }

  /// What the manifest says that the backup needs, newest timeline first.
  public var ranges: [FrozenWAL.Range] {
    (history.ancestors.map(\.timeline) + [history.timeline]).reversed().compactMap { timeline in
      guard let owned = history.range(of: timeline) else { return nil }
      let (first, last) = (max(start, owned.start), min(stop, owned.end ?? stop))
      return first < last ? FrozenWAL.Range(timeline: timeline, start: first, end: last) : nil
    }
  }
}

/// Looks for the segments from `start` to `stop`.
private struct SegmentSearch {
  let folder: OpenFolder
  let control: ControlFile
  let history: WALTimelineHistory
  let start: LSN
  let stop: LSN

  private var size: UInt64 { UInt64(control.walSegmentSize) }

  func segments() throws -> [(name: WALSegmentName, inode: UInt64)] {
    guard start < stop else {
      throw StillError(.copying, "the backup begins at \(start), but ends at \(stop)")
    }
    var found: [(name: WALSegmentName, inode: UInt64)] = []
    for number in start.position / size...(stop.position - 1) / size {
      // Where a timeline ended in a segment, its own file may be there too; recovery prefers the
      // newest (`XLogFileReadAnyTLI`), whose beginning is a copy.
      let candidates = owners(of: number)
      for (index, segment) in candidates.enumerated() {
        let isNewest = index == candidates.count - 1
        guard let metadata = try folder.metadataIfPresent(of: FilePath(segment.description)) else {
          if isNewest { throw SegmentSearch.missing(segment, "is no longer in \(folder.path)") }
          continue
        }
        if isNewest { try requireWhole(segment) }
        found.append((segment, metadata.inode))
      }
    }
    return found
  }

  /// The files that may hold segment `number`, oldest timeline first.
  private func owners(of number: UInt64) -> [WALSegmentName] {
    let from = max(start, LSN(number * size))
    let to = min(stop, LSN((number + 1) * size))
    return (history.ancestors.map(\.timeline) + [history.timeline]).filter {
      guard let owned = history.range(of: $0) else { return false }
      return owned.start < to && from < (owned.end ?? to)
    }.map { WALSegmentName(timeline: $0, number: number, size: control.walSegmentSize) }
  }

  /// Every page up to the stop has to say its own address.
  private func requireWhole(_ segment: WALSegmentName) throws {
    let file = try folder.file(FilePath(segment.description))
    guard try file.metadata().size == size else {
      throw SegmentSearch.missing(segment, "has not the size of a segment")
    }
    let page = UInt64(control.walBlockSize)
    var position = segment.start.position
    while position < min(segment.end.position, stop.position) {
      let isFirst = position == segment.start.position
      let bytes = try read(
        file, at: position - segment.start.position,
        count: isFirst ? WALPageHeader.longSize : WALPageHeader.shortSize)
      // After a segment switch the rest is zeros, and the log goes on in the next segment.
      if !isFirst, stop >= segment.end, bytes.allSatisfy({ $0 == 0 }) { return }
      guard let header = WALPageHeader(bytes: bytes), header.address == LSN(position),
        header.timeline == history.timeline(at: LSN(position))
      else {
        throw SegmentSearch.missing(segment, "holds something else at \(LSN(position))")
      }
      if isFirst, header.segment?.systemIdentifier != control.systemIdentifier {
        throw SegmentSearch.missing(segment, "belongs to another cluster")
      }
      position += page
    }
  }

  private func read(_ file: OpenFile, at offset: UInt64, count: Int) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    let got = try bytes.withUnsafeMutableBytes { try file.readFully(into: $0, at: offset) }
    return Array(bytes[..<got])
  }

  static func missing(_ segment: WALSegmentName, _ how: String) -> StillError {
    StillError(
      .copying, "WAL segment \(segment), which the backup needs, \(how)",
      hint: "Raise max_slot_wal_keep_size, or, where pgstill gets no replication slot, "
        + "wal_keep_size; then run again.")
  }
}
