import StillModel

/// What a run's file in `/run/pgstill` says of it.
struct KnownRun {
  var run: RunID
  /// Whether its broker is at work.
  var isAlive: Bool
  var origins: [VolumeName]
  /// Each with its words: "frozen", "1795255200000000".
  private var steps: [[Substring]]

  /// - Parameter lines: the origins, then "TIME STEP DETAIL" each.
  init(run: RunID, isAlive: Bool, lines: [String]) {
    self.run = run
    self.isAlive = isAlive
    origins = (lines.first ?? "").split(separator: " ").compactMap { VolumeName($0) }
    steps = lines.dropFirst().map { Array($0.split(separator: " ").dropFirst()) }
  }

  /// Whether it lets go of its volumes when somebody wants to copy them.
  var givesWay: Bool { steps.contains { $0.first == Substring(RunStep.givesWay) } }

  /// When its set was frozen, in microseconds since 1970; nil where it is not, or is not any more.
  var frozenMicroseconds: Int64? {
    var moment: Int64?
    for step in steps {
      switch step.first.map(String.init) {
      case RunStep.frozen: moment = step.dropFirst().first.flatMap { Int64($0) }
      case RunStep.thawed, RunStep.givenUp, RunStep.removed: moment = nil
      default: break
      }
    }
    return moment
  }
}

/// The steps that others read in a run's file.
enum RunStep {
  static let givesWay = "gives-way"
  static let frozen = "frozen"
  static let thawed = "thawed"
  static let givenUp = "given-up"
  static let removed = "removed"
}
