import StillModel
import StillSystem

/// Who watches a run: the command line with its progress, or nobody. Called from several threads.
public protocol Observer: Sendable {
  /// A phase begins; `detail` says on what, where that helps.
  func began(_ phase: Phase, _ detail: String)
  /// How many bytes the current phase has to go through, as far as is known.
  func expects(bytes: UInt64)
  /// Bytes gone through since the last call.
  func advanced(bytes: UInt64)
  /// How full the snapshots are.
  func filled(_ fills: [SnapshotFill])
  /// Something worth telling that is no failure.
  func noticed(_ text: String)
}

/// The steps of every job, as they are called everywhere.
public enum Phase: String, Sendable, Codable, CaseIterable {
  case discover, plan, prepare, freeze, copy, publish, release
  case locate, unpack, settle
  case verify
}

/// Runs the phases of one job: tells the observer, names the phase in a failure, keeps the times.
final class PhaseLog {
  private let observer: any Observer
  private(set) var phases: [BackupRecord.Phase] = []

  init(_ observer: any Observer) { self.observer = observer }

  func run<Result>(
    _ phase: Phase, _ detail: String = "", failsAs status: ExitStatus,
    _ body: () throws -> Result
  ) throws -> Result {
    observer.began(phase, detail)
    let watch = Stopwatch()
    defer { phases.append(.init(name: phase.rawValue, seconds: watch.seconds)) }
    return try StillModel.phase(phase.doing, failsAs: status, body)
  }
}

extension Phase {
  /// For "… (while copying)".
  var doing: String {
    switch self {
    case .discover: "discovering the cluster"
    case .plan: "planning"
    case .prepare: "preparing snapshots"
    case .freeze: "freezing"
    case .copy: "copying"
    case .publish: "publishing"
    case .release: "releasing"
    case .locate: "looking for the backup"
    case .unpack: "unpacking"
    case .settle: "settling the restored cluster"
    case .verify: "verifying"
    }
  }
}
