/// A look at something at a moment.
public protocol TimedLook {
  /// Since the freeze.
  var seconds: Double { get }
  /// Whether it is kept, and the one before it, however many there are.
  var isMark: Bool { get }
}

extension TimedLook {
  /// Fewer looks, about as far apart from each other: the first, the last, and the marks are kept.
  ///
  /// - Parameters:
  ///   - looks: in their order.
  ///   - most: to be left, not counting marks; at least 2.
  public static func thinned(_ looks: [Self], to most: Int) -> [Self] {
    guard looks.count > most, let first = looks.first, let last = looks.last else { return looks }
    let step = (last.seconds - first.seconds) / Double(most - 1)
    var next = first.seconds
    return looks.indices.filter { index in
      let look = looks[index]
      let isDue = look.seconds >= next
      if isDue { while next <= look.seconds, step > 0 { next += step } }
      return isDue || look.isMark || index == looks.count - 1 || looks[index + 1].isMark
    }.map { looks[$0] }
  }
}

extension ProbeSample: TimedLook {
  public var isMark: Bool { flushedFrom != nil }
}

extension BackupRecord.FillSample: TimedLook {
  public var isMark: Bool { false }
}
