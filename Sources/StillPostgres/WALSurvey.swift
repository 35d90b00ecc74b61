import StillModel
import StillSystem
import SystemPackage

/// The work of `FrozenWAL.examine`: looks at every name once, then follows the log from the redo
/// point for as long as there is log.
struct WALSurvey {
  private let folder: OpenFolder
  private let control: ControlFile
  private let pageSize: UInt64
  private var present: Set<WALSegmentName> = []
  private var histories: [UInt32: WALTimelineHistory] = [:]
  private var historyNames: [FilePath] = []
  private var leftOut: [FrozenWAL.LeftOut] = []

  init(_ folder: OpenFolder, _ control: ControlFile) throws {
    self.folder = folder
    self.control = control
    pageSize = UInt64(control.walBlockSize)
    for name in try folder.names() { try note(name) }
  }

  private mutating func note(_ name: FilePath) throws {
    guard try folder.metadata(of: name).kind == .file else {
      if name == "archive_status" { return }
      return leaveOut(name, name == "summaries" ? .summaries : .notWAL)
    }
    switch WALFileName(name.string, segmentSize: control.walSegmentSize) {
    case .segment(let segment): present.insert(segment)
    case .partial: leaveOut(name, .partial)
    case .backupHistory: leaveOut(name, .backupHistory)
    case .other: leaveOut(name, .notWAL)
    case .history(let timeline):
      historyNames.append(name)
      let text = String(decoding: try folder.file(name).readAll(limit: 16 << 20), as: UTF8.self)
      histories[timeline] = try WALTimelineHistory(timeline: timeline, text: text)
    }
  }

  private mutating func leaveOut(_ name: FilePath, _ reason: FrozenWAL.Reason) {
    leftOut.append(FrozenWAL.LeftOut(name: name, reason: reason))
  }

  func result(flushed: LSN?) throws -> FrozenWAL {
    let history = try followedHistory()
    var chain = Chain(history: history)
    try follow(&chain)
    let checkpointEnd = try requireReaching(chain, flushed: flushed)

    var leftOut = leftOut
    for segment in present where !chain.kept.contains(segment) {
      let reason = try reason(against: segment, chain)
      leftOut.append(FrozenWAL.LeftOut(name: FilePath(segment.description), reason: reason))
    }
    leftOut.sort { $0.name.bytes.lexicographicallyPrecedes($1.name.bytes) }
    return FrozenWAL(
      segments: chain.kept.sorted { ($0.number, $0.timeline) < ($1.number, $1.timeline) },
      histories: historyNames, leftOut: leftOut, history: history, redo: control.redo,
      checkpointEnd: checkpointEnd, end: chain.end)
  }

  // MARK: Which timeline

  /// The history that recovery follows: that of the control file's timeline, which crash recovery
  /// never leaves. A standby goes over to the newest timeline that branched off it later
  /// (`recovery_target_timeline` is latest by default), and so does a server that was frozen in the
  /// middle of its promotion; both are in archive recovery still. Without a history file a timeline
  /// counts as having no ancestors (`readTimeLineHistory`).
  private func followedHistory() throws -> WALTimelineHistory {
    let own = control.recoveryTimeline
    let base = histories[own] ?? WALTimelineHistory(timeline: own)
    guard control.state == .inArchiveRecovery || control.state == .shutDownInRecovery else {
      return base
    }
    let later = try histories.values.filter { candidate in
      guard candidate.timeline > own, let left = candidate.range(of: own)?.end,
        left > control.checkpoint, let start = candidate.ancestors.last?.end
      else { return false }
      let first = WALSegmentName(
        timeline: candidate.timeline, holding: start, size: control.walSegmentSize)
      return try present.contains(first) && content(of: first, candidate) == .log
    }
    return later.max { $0.timeline < $1.timeline } ?? base
  }

  // MARK: Following the log

  private struct Chain {
    let history: WALTimelineHistory
    var kept: Set<WALSegmentName> = []
    var end = LSN(0)
    /// The end of the last segment, where nothing but zeros may follow `end` in it: after a segment
    /// switch the log goes on there, and positions say so before anything is written to it.
    var switchEnd: LSN?
  }

  /// Keeps segments from the redo point on, until one is not there or is no log.
  private func follow(_ chain: inout Chain) throws {
    let size = UInt64(control.walSegmentSize)
    var number = control.redo.position / size
    guard var segment = try log(number, &chain) else {
      throw try missing(number, chain)
    }
    while true {
      number += 1
      guard let next = try log(number, &chain) else { break }
      try requireWhole(segment)
      segment = next
    }
    chain.end = try endOfLog(in: segment, chain.history)
    if try lastPage(of: segment).allSatisfy({ $0 == 0 }) { chain.switchEnd = segment.end }
  }

  /// The segment to read the log from at `number`, nil where there is none. Where a timeline ended in
  /// it, that timeline's own file is kept as well; recovery prefers the newest
  /// (`XLogFileReadAnyTLI`), whose beginning is a copy.
  private func log(_ number: UInt64, _ chain: inout Chain) throws -> WALSegmentName? {
    var newest: WALSegmentName?
    for timeline in timelines(of: number, chain.history) {
      let segment = WALSegmentName(
        timeline: timeline, number: number, size: control.walSegmentSize)
      guard present.contains(segment), try content(of: segment, chain.history) == .log else {
        continue
      }
      chain.kept.insert(segment)
      newest = newest ?? segment
    }
    return newest
  }

  /// The timelines that own a part of segment `number`, newest first.
  private func timelines(of number: UInt64, _ history: WALTimelineHistory) -> [UInt32] {
    let segment = WALSegmentName(timeline: 1, number: number, size: control.walSegmentSize)
    return (history.ancestors.map(\.timeline) + [history.timeline]).reversed().filter {
      guard let owned = history.range(of: $0) else { return false }
      return owned.start < segment.end && segment.start < (owned.end ?? segment.end)
    }
  }

  private enum Content: Equatable {
    case log
    case zeros
    case recycled(LSN)
    /// Log, but of another timeline than its name or the history says.
    case foreign
    case wrongSize(UInt64)
    case noise
  }

  /// What a file that is named like a segment holds, by its first page.
  private func content(of segment: WALSegmentName, _ history: WALTimelineHistory) throws -> Content
  {
    let file = try folder.file(FilePath(segment.description))
    let size = try file.metadata().size
    guard size == UInt64(segment.size) else { return .wrongSize(size) }
    let bytes = try read(file, at: 0, count: WALPageHeader.longSize)
    guard let header = WALPageHeader(bytes: bytes) else {
      return bytes.allSatisfy { $0 == 0 } ? .zeros : .noise
    }
    guard header.address == segment.start else { return .recycled(header.address) }
    guard let long = header.segment, long.systemIdentifier == control.systemIdentifier,
      long.segmentSize == control.walSegmentSize, long.pageSize == control.walBlockSize
    else { return .noise }
    // The first segment of a timeline begins with the pages of the one before.
    let expected = history.timeline(at: segment.start)
    return header.timeline == expected ? .log : .foreign
  }

  /// A segment that others follow is log to its end, or zeros after a segment switch
  /// (`XLOG_SWITCH`). Anything else is a hole, at which recovery would end without a word.
  private func requireWhole(_ segment: WALSegmentName) throws {
    let bytes = try lastPage(of: segment)
    if bytes.allSatisfy({ $0 == 0 }) { return }
    let address = LSN(segment.end.position - pageSize)
    guard let header = WALPageHeader(bytes: bytes), header.address == address else {
      throw StillError(
        .failed, "the WAL has a hole: segment \(segment) ends in something else than WAL",
        hint: "The copy of pg_wal is not of one instant, or is damaged.")
    }
  }

  /// The header of a segment's last page.
  private func lastPage(of segment: WALSegmentName) throws -> [UInt8] {
    try read(
      try folder.file(FilePath(segment.description)), at: UInt64(segment.size) - pageSize,
      count: WALPageHeader.shortSize)
  }

  /// Follows the pages of the last segment: the rest of it may be an older segment's.
  private func endOfLog(in segment: WALSegmentName, _ history: WALTimelineHistory) throws -> LSN {
    let file = try folder.file(FilePath(segment.description))
    var position = segment.start.position
    while position < segment.end.position {
      let bytes = try read(
        file, at: position - segment.start.position,
        count: position == segment.start.position ? WALPageHeader.longSize : WALPageHeader.shortSize
      )
      guard let header = WALPageHeader(bytes: bytes), header.address == LSN(position),
        header.timeline == history.timeline(at: LSN(position))
      else { break }
      position += pageSize
    }
    return LSN(position)
  }

  // MARK: What has to be there

  /// Returns the end of the checkpoint's record.
  private func requireReaching(_ chain: Chain, flushed: LSN?) throws -> LSN {
    let needs: [(LSN, String)] = [
      (LSN(control.redo.position + 1), "the redo point"),
      (LSN(control.checkpoint.position + UInt64(WALRecordSpan.headerSize)), "the last checkpoint"),
      (control.minimumRecoveryPoint ?? LSN(0), "the minimum recovery point"),
      (flushed ?? LSN(0), "what was committed before the freeze"),
    ]
    for (position, what) in needs where position > chain.end && position != chain.switchEnd {
      throw tooShort(chain, position, what)
    }
    // Where a timeline branched off in that segment, its file has a copy of everything before.
    let number = control.checkpoint.position / UInt64(control.walSegmentSize)
    let holder = chain.kept.filter { $0.number == number }.max()
    guard let holder else { throw tooShort(chain, control.checkpoint, "the last checkpoint") }
    let bytes = try read(
      try folder.file(FilePath(holder.description)),
      at: control.checkpoint.position - holder.start.position, count: 4)
    guard let length = WALRecordSpan.length(bytes) else {
      throw StillError(
        .failed, "there is no checkpoint at \(control.checkpoint), where the control file says so",
        hint: "The control file and pg_wal are not of one instant, or pg_wal is damaged.")
    }
    let end = WALRecordSpan(
      start: control.checkpoint, length: length, pageSize: control.walBlockSize,
      segmentSize: control.walSegmentSize
    ).end
    if end > chain.end { throw tooShort(chain, end, "the last checkpoint") }
    return end
  }

  private func tooShort(_ chain: Chain, _ position: LSN, _ what: String) -> StillError {
    StillError(
      .failed, "the WAL ends at \(chain.end), before \(what) at \(position)",
      hint:
        "The control file and pg_wal are not of one instant, or a segment is missing or damaged.")
  }

  private func missing(_ number: UInt64, _ chain: Chain) throws -> StillError {
    let candidates = timelines(of: number, chain.history).map {
      WALSegmentName(timeline: $0, number: number, size: control.walSegmentSize)
    }
    var text = "WAL segment \(candidates.map(\.description).joined(separator: " or "))"
    text += ", which holds the redo point \(control.redo), "
    if let found = candidates.first(where: { present.contains($0) }) {
      switch try content(of: found, chain.history) {
      case .wrongSize(let size): text += "has \(size) bytes instead of \(control.walSegmentSize)"
      case .zeros: text += "is full of zeros"
      case .recycled(let address): text += "holds the log from \(address) instead"
      case .foreign: text += "belongs to another timeline"
      case .noise, .log: text += "is not WAL of this cluster"
      }
    } else {
      text += "is missing"
    }
    return StillError(
      .failed, text,
      hint: "The control file and pg_wal are not of one instant, or pg_wal is damaged.")
  }

  // MARK: What is left out

  private func reason(against segment: WALSegmentName, _ chain: Chain) throws -> FrozenWAL.Reason {
    if segment.end <= control.redo { return .beforeRedo }
    switch try content(of: segment, chain.history) {
    case .zeros: return .preallocated
    case .recycled(let address): return .recycled(address: address)
    case .foreign: return .otherTimeline
    case .noise, .wrongSize: return .notWAL
    case .log:
      let owners = timelines(of: segment.number, chain.history)
      return owners.contains(segment.timeline) ? .afterEnd : .otherTimeline
    }
  }

  /// `count` bytes, or fewer at the end of the file.
  private func read(_ file: OpenFile, at offset: UInt64, count: Int) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    let got = try bytes.withUnsafeMutableBytes { try file.readFully(into: $0, at: offset) }
    return Array(bytes[..<got])
  }
}
