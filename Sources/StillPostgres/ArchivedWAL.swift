import StillModel
import Synchronization
import SystemPackage

/// The WAL of a backup as it passes by when its archive is read: what recovery needs of it has to be
/// there, contiguous, of this cluster and of the right timelines.
///
/// Only the headers of pages are kept while a segment is read, and a few numbers after that. Sendable:
/// several files may pass by at a time.
public final class ArchivedWAL: Sendable {
  private struct State {
    var segments: [WALSegmentName: WALSegmentPages] = [:]
    var histories: [UInt32: [UInt8]] = [:]
  }

  private let segmentSize: UInt32
  private let systemIdentifier: UInt64
  private let state = Mutex(State())

  /// Larger is no history file: each line is of one timeline.
  private static let largestHistory: UInt64 = 16 << 20

  /// - Parameter segmentSize: in bytes.
  public init(segmentSize: UInt32, systemIdentifier: UInt64) {
    self.segmentSize = segmentSize
    self.systemIdentifier = systemIdentifier
  }

  /// One file on its way.
  public final class File: Sendable {
    fileprivate enum Kind {
      case segment(WALSegmentName)
      case history(UInt32)
    }

    private let kind: Kind
    private let size: UInt64
    private let wal: ArchivedWAL
    /// Headers of pages, or all of a history file.
    private let kept: Mutex<[UInt8]>

    fileprivate init(_ kind: Kind, size: UInt64, _ wal: ArchivedWAL) {
      self.kind = kind
      self.size = size
      self.wal = wal
      switch kind {
      case .history: kept = Mutex([UInt8](repeating: 0, count: Int(size)))
      case .segment(let name):
        let pages =
          size == UInt64(name.size)
          ? Int(size / UInt64(WALSegmentPages.distance)) : min(1, Int(clamping: size))
        kept = Mutex([UInt8](repeating: 0, count: pages * WALPageHeader.longSize))
      }
    }

    /// Takes a piece of it; pieces come in any order.
    public func saw(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) {
      let end = offset + UInt64(bytes.count)
      switch kind {
      case .history: kept.withLock { keep(bytes, offset, from: offset, to: end, at: 0, in: &$0) }
      case .segment:
        let distance = UInt64(WALSegmentPages.distance)
        let length = UInt64(WALPageHeader.longSize)
        kept.withLock { kept in
          for page in offset / distance..<(end + distance - 1) / distance {
            let first = page * distance
            keep(
              bytes, offset, from: max(first, offset), to: min(first + length, end),
              at: Int64(page * length) - Int64(first), in: &kept)
          }
        }
      }
    }

    /// Copies what lies between two offsets to the same place in `kept`, moved by `shift`.
    private func keep(
      _ bytes: UnsafeRawBufferPointer, _ offset: UInt64, from: UInt64, to: UInt64,
      at shift: Int64, in kept: inout [UInt8]
    ) {
      guard from < to else { return }
      for position in from..<to {
        let place = Int(Int64(position) + shift)
        guard place < kept.count else { return }
        kept[place] = bytes[Int(position - offset)]
      }
    }

    /// All of it has passed by.
    public func ended() {
      let bytes = kept.withLock { bytes in
        defer { bytes = [] }
        return bytes
      }
      wal.state.withLock { state in
        switch kind {
        case .history(let timeline): state.histories[timeline] = bytes
        case .segment(let name):
          state.segments[name] = WALSegmentPages(name, size: size, headers: bytes)
        }
      }
    }
  }

  /// What to tell the content of this file; nil where it does not matter.
  public func file(_ path: FilePath, size: UInt64) -> File? {
    switch WALFileName(path.string, segmentSize: segmentSize) {
    case .segment(let name): File(.segment(name), size: size, self)
    case .history(let timeline) where size <= ArchivedWAL.largestHistory:
      File(.history(timeline), size: size, self)
    default: nil
    }
  }

  /// What is wrong with it, a line for each file that is.
  ///
  /// - Parameter ranges: what recovery needs, as the manifest says.
  public func problems(needed ranges: [FrozenWAL.Range]) -> [String] {
    state.withLock { state in
      let ranges = ranges.sorted { $0.timeline < $1.timeline }
      guard let first = ranges.first, let last = ranges.last else {
        return ["the manifest names no WAL"]
      }
      for (older, newer) in zip(ranges, ranges.dropFirst()) where older.end != newer.start {
        return [
          "the manifest's WAL has a hole: timeline \(older.timeline) ends at \(older.end), "
            + "and timeline \(newer.timeline) begins at \(newer.start)"
        ]
      }
      var problems: [String] = []
      let history = followed(ranges, last, state, &problems)
      let check = ContiguityCheck(
        history: history, start: first.start, end: last.end, segmentSize: segmentSize,
        systemIdentifier: systemIdentifier, segments: state.segments)
      return problems + check.problems()
    }
  }

  /// The history that the ranges follow. Its file has to be there where they pass from one timeline
  /// to the next; else a timeline without one counts as having no ancestors (`readTimeLineHistory`).
  private func followed(
    _ ranges: [FrozenWAL.Range], _ last: FrozenWAL.Range, _ state: State,
    _ problems: inout [String]
  ) -> WALTimelineHistory {
    let byRanges = WALTimelineHistory(
      timeline: last.timeline,
      ancestors: ranges.dropLast().map { .init(timeline: $0.timeline, end: $0.end) })
    let name = WALFileName.historyName(last.timeline)
    guard let bytes = state.histories[last.timeline] else {
      if ranges.count > 1 {
        problems.append("the history file \(name), which the backup needs, is missing")
      }
      return byRanges
    }
    do {
      let history = try WALTimelineHistory(
        timeline: last.timeline, text: String(decoding: bytes, as: UTF8.self))
      for range in ranges {
        let owned = history.range(of: range.timeline)
        guard let owned, owned.start <= range.start, range.end <= owned.end ?? range.end else {
          problems.append(
            "the history file \(name) does not have \(range.start) to \(range.end) on timeline "
              + "\(range.timeline), as the manifest says")
          return byRanges
        }
      }
      return history
    } catch {
      problems.append("\(name): " + ((error as? StillError)?.message ?? "\(error)"))
      return byRanges
    }
  }
}

/// Compares segments with a stretch of log that has to be in them.
private struct ContiguityCheck {
  let history: WALTimelineHistory
  let start: LSN
  let end: LSN
  let segmentSize: UInt32
  let systemIdentifier: UInt64
  let segments: [WALSegmentName: WALSegmentPages]

  /// More of the same helps nobody.
  private static let longestList = 50

  func problems() -> [String] {
    let size = UInt64(segmentSize)
    // The last segment has no end that could be written down.
    guard start < end, end.position <= UInt64.max - size else {
      return ["the manifest's WAL begins at \(start) and ends at \(end)"]
    }
    var problems: [String] = []
    for number in start.position / size...(end.position - 1) / size {
      let name = newest(number)
      guard let fault = segments[name].map(fault) ?? "is missing" else { continue }
      guard problems.count < ContiguityCheck.longestList else {
        return problems + ["further segments, which the backup needs, are missing or bad"]
      }
      problems.append("WAL segment \(name), which the backup needs, \(fault)")
    }
    return problems
  }

  /// The file that recovery reads segment `number` from: where several timelines own a part of what
  /// is needed of it, the newest one's, whose beginning is a copy (`XLogFileReadAnyTLI`).
  private func newest(_ number: UInt64) -> WALSegmentName {
    let segment = WALSegmentName(timeline: 1, number: number, size: segmentSize)
    let (from, to) = (max(start, segment.start), min(end, segment.end))
    let owners = (history.ancestors.map(\.timeline) + [history.timeline]).filter {
      guard let owned = history.range(of: $0) else { return false }
      return owned.start < to && from < (owned.end ?? to)
    }
    return WALSegmentName(
      timeline: owners.last ?? history.timeline, number: number, size: segmentSize)
  }

  /// nil for a segment that has everything.
  private func fault(_ segment: WALSegmentPages) -> String? {
    guard segment.size == UInt64(segmentSize) else {
      return "has \(segment.size) bytes instead of \(segmentSize)"
    }
    guard let header = segment.header else {
      return segment.stretches.first?.content.text ?? "holds nothing"
    }
    guard header.systemIdentifier == systemIdentifier else { return "belongs to another cluster" }
    guard header.segmentSize == segmentSize else {
      return "says that segments have \(header.segmentSize) bytes"
    }
    let to = min(end, segment.name.end)
    for stretch in segment.stretches where stretch.start < to && stretch.end > start {
      switch stretch.content {
      case .log(let timeline):
        if let position = wrongTimeline(timeline, in: stretch) {
          return "is on timeline \(timeline) at \(position)"
        }
      case .zeros
      where end >= segment.name.end && stretch.end == segment.name.end
        && stretch.start > segment.name.start:
        // After a segment switch (XLOG_SWITCH) the log goes on in the next segment.
        return nil
      default:
        let position = max(stretch.start, segment.name.start)
        return position == segment.name.start
          ? stretch.content.text : "ends at \(position): from there it \(stretch.content.text)"
      }
    }
    return nil
  }

  /// Where a stretch of pages first lies on another timeline than it says. What was written before
  /// the start may be of an ancestor that nobody knows any more.
  private func wrongTimeline(_ timeline: UInt32, in stretch: WALSegmentPages.Stretch) -> LSN? {
    let step = UInt64(WALSegmentPages.distance)
    var position = stretch.start.position
    while position < min(stretch.end, end).position {
      if position >= start.position, history.timeline(at: LSN(position)) != timeline {
        return LSN(position)
      }
      position += step
    }
    return nil
  }
}
