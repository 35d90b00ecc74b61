import StillModel
import StillSystem
import StillVolumes
import Synchronization

/// The signals that ask a run to end, as a ladder: the first one stops the work at its next
/// checkpoint, publishes nothing, and gives everything back; the second does not wait for that, which
/// the broker then does on its own; the third ends the process where it stands.
enum Interruption {
  /// Runs `body`; a signal meanwhile cancels it.
  ///
  /// - Parameters:
  ///   - broker: the one that is left to itself after the second signal.
  ///   - consequence: what the first signal comes to, for whoever sent it.
  /// - Throws: after a signal, that it was the signal that ended the run, whatever came of it.
  static func watch<Result>(
    _ broker: BrokerClient? = nil, consequence: String = "stopping; nothing more will be published",
    _ body: (Cancellation) throws -> Result
  ) throws -> Result {
    let cancellation = Cancellation()
    let count = Mutex(0)
    let order = Mutex<StillError?>(nil)
    let watch = try SignalWatch { signal in
      let interruption = StillError.interrupted(by: signal)
      let step = count.withLock { count in
        count += 1
        return count
      }
      switch step {
      case 1:
        order.withLock { $0 = interruption }
        cancellation.cancel(interruption)
        Terminal.talk("pgstill: signal \(signal): \(consequence)\n")
      case 2:
        broker?.abandon()
        Terminal.talk("pgstill: signal \(signal): not waiting any longer; \(remainder(broker))\n")
      default: Signals.endProcess(by: signal)
      }
    }
    defer { watch.end() }
    do {
      return try body(cancellation)
    } catch {
      guard var interruption = order.withLock({ $0 }) else { throw error }
      let failure = error as? StillError
      interruption.phase = failure?.phase
      interruption.further = failure?.further ?? []
      // What came of it beside the signal is worth a line.
      if failure?.signal == nil { interruption.further.insert("\(error)", at: 0) }
      throw interruption
    }
  }

  private static func remainder(_ broker: BrokerClient?) -> String {
    broker == nil
      ? "a third one ends this process at once" : "the broker gives the snapshots back on its own"
  }
}
