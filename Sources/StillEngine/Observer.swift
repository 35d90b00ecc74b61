import StillModel

/// Who watches a run: the command line with its progress, or nobody. Called from several threads.
public protocol Observer: Sendable {
  /// A phase begins; `detail` says on what, where that helps.
  func began(_ phase: Phase, _ detail: String)
  /// How many bytes the current phase has to go through, as far as is known.
  func expects(bytes: UInt64)
  /// Bytes gone through since the last call.
  func advanced(bytes: UInt64)
  /// How full the snapshots are, every second.
  func filled(_ trends: [FillTrend])
  /// So many seconds of a probe are over.
  func watched(seconds: Double, of duration: Double)
  /// Something worth telling that is no failure.
  func noticed(_ text: String)
}

extension Observer {
  public func watched(seconds: Double, of duration: Double) {}
}

/// The steps of every job, as they are called everywhere.
public enum Phase: String, Sendable, Codable, CaseIterable, CustomStringConvertible {
  case discover, plan, begin, prepare, stop, freeze, start, copy, publish, release
  case locate, compare, unpack, settle
  case verify, prove
  case pass, finalPass, check
  case transfer
  case watch
}

extension Phase {
  /// As people read it: `final pass`.
  public var description: String { self == .finalPass ? "final pass" : rawValue }

  /// Whether it is done even in a run that was told to stop: it gives back what the run has taken.
  var isAlwaysDone: Bool { self == .release || self == .start }

  /// For "… (while copying)".
  var doing: String {
    switch self {
    case .discover: "discovering the cluster"
    case .plan: "planning"
    case .begin: "beginning backup mode"
    case .prepare: "preparing snapshots"
    case .stop: "stopping the server"
    case .freeze: "freezing"
    case .start: "starting the server"
    case .copy: "copying"
    case .publish: "publishing"
    case .release: "releasing"
    case .locate: "looking for the backup"
    case .compare: "comparing"
    case .unpack: "unpacking"
    case .settle: "settling the restored cluster"
    case .verify: "verifying"
    case .prove: "proving"
    case .pass: "copying while the server runs"
    case .finalPass: "copying what is left"
    case .check: "comparing everything"
    case .transfer: "copying elsewhere"
    case .watch: "watching"
    }
  }
}
