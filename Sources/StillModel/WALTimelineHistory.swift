/// How a timeline came to be: which timeline owns which part of the log before it
/// (src/backend/access/transam/timeline.c; the manual, "Timelines").
public struct WALTimelineHistory: Hashable, Sendable {
  /// An ancestor, and where it was left.
  public struct Branch: Hashable, Sendable {
    public var timeline: UInt32
    /// The first position that no longer belongs to it.
    public var end: LSN

    public init(timeline: UInt32, end: LSN) {
      self.timeline = timeline
      self.end = end
    }
  }

  public var timeline: UInt32
  /// Oldest first.
  public var ancestors: [Branch]

  public init(timeline: UInt32, ancestors: [Branch] = []) {
    self.timeline = timeline
    self.ancestors = ancestors
  }

  /// Reads a history file: a line `PARENT <tab> SWITCHPOINT <tab> reason` for each ancestor, with
  /// comments after `#`.
  ///
  /// - Throws: `.failed` where a line has another form, or the timelines do not ascend, which
  ///   PostgreSQL refuses too (`readTimeLineHistory`).
  public init(timeline: UInt32, text: String) throws {
    self.timeline = timeline
    ancestors = []
    for line in text.split(whereSeparator: \.isNewline) {
      let words = line.split(maxSplits: 2, whereSeparator: \.isWhitespace)
      guard let first = words.first, !first.hasPrefix("#") else { continue }
      guard words.count >= 2, let parent = UInt32(first), let end = LSN(words[1]),
        parent > (ancestors.last?.timeline ?? 0), parent < timeline
      else {
        throw StillError(
          .failed, "the history file of timeline \(timeline) holds a line that is none: \(line)")
      }
      ancestors.append(Branch(timeline: parent, end: end))
    }
  }

  /// The timeline that the byte at `position` was written on, also the one that a WAL page beginning
  /// there says in its header: the page that holds a switch point began on the old timeline.
  public func timeline(at position: LSN) -> UInt32 {
    ancestors.first { position < $0.end }?.timeline ?? timeline
  }

  /// The part of the log that `timeline` owns; nil where it is no ancestor. The upper bound is nil
  /// for the last timeline.
  public func range(of timeline: UInt32) -> (start: LSN, end: LSN?)? {
    if timeline == self.timeline { return (ancestors.last?.end ?? LSN(0), nil) }
    guard let index = ancestors.firstIndex(where: { $0.timeline == timeline }) else { return nil }
    return (index == 0 ? LSN(0) : ancestors[index - 1].end, ancestors[index].end)
  }
}
