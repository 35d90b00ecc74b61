import StillEngine
import StillModel
import Synchronization

/// Watches a run, keeps what it was told, and lets a test step in.
public final class Recorder: Observer {
  public enum Event: Sendable {
    case began(Phase)
    case advanced(UInt64)
  }

  private let kept = Mutex<(phases: [Phase], notes: [String])>(([], []))
  private let stepIn: @Sendable (Event) -> Void

  /// - Parameter stepIn: called at the beginning of every phase and with every number of bytes.
  public init(_ stepIn: @escaping @Sendable (Event) -> Void = { _ in }) { self.stepIn = stepIn }

  public var phases: [Phase] { kept.withLock { $0.phases } }
  public var notes: [String] { kept.withLock { $0.notes } }

  public func began(_ phase: Phase, _ detail: String) {
    kept.withLock { $0.phases.append(phase) }
    stepIn(.began(phase))
  }

  public func expects(bytes: UInt64) {}
  public func advanced(bytes: UInt64) { stepIn(.advanced(bytes)) }
  public func filled(_ trends: [FillTrend]) {}
  public func noticed(_ text: String) { kept.withLock { $0.notes.append(text) } }
}
