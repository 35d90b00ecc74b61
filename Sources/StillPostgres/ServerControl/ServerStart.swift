import StillModel
import StillSystem
import SystemPackage

extension ServerSwitch {
  /// How often a start is tried.
  private static let attempts = 2
  /// See `ensureUp`.
  public static let patience = 120.0
  /// Seconds for a server to show itself after a start that says it went well: a command may only
  /// have asked somebody else to start it.
  private static let grace = 5.0

  /// Seconds for which a server has to be there when a stop may still be on its way to it.
  private static let doubt = 2.0

  /// Sees to it that the server runs, whatever state it is in: it waits for one that is still
  /// stopping or starting, however long that takes, and starts one that is down, a second time where
  /// the first fails. No exit status is believed, but only the proof: systemd can call a failed start
  /// a success (`ExecStart=-` of Debian's unit).
  ///
  /// - Parameters:
  ///   - units: starts units of systemd.
  ///   - isStopPending: a stop may still arrive: a job in systemd's queue, or an order to whoever
  ///     looks after the server. Then the server that runs now proves nothing: the start is ordered
  ///     all the same, which takes the stop back, and the proof has to last.
  ///   - patience: seconds that a server may take to prove itself once it is there, or to come up
  ///     once its start was asked for.
  ///   - checkpoint: throws where nobody wants the server any more.
  ///   - notice: told of what takes long or goes wrong.
  ///   - prove: asks the server that is there; throws as long as it gives no proof. `.precondition`
  ///     means that it never will.
  /// - Returns: the proof, right after it was given, and whether the server had been down or on its
  ///   way down.
  /// - Throws: `.postgres` with everything that helps to start the server by hand.
  public func ensureUp<Proof>(
    units: (any ServiceUnits)?, isStopPending: Bool = false,
    patience: Double = ServerSwitch.patience, checkpoint: () throws -> Void = {},
    notice: (String) -> Void,
    prove: (Postmaster) throws -> Proof
  ) throws -> (proof: Proof, wasDown: Bool) {
    var starts: [Start] = []
    // A second start of a server that runs is refused by the server itself, or does nothing.
    var recall = isStopPending && control.isUpToOthers ? start(units) : nil
    var watch = Stopwatch()
    var wasDown = false
    var proved: (process: Int32, since: Stopwatch)?
    var said: [String] = []
    func say(_ text: String) {
      guard !said.contains(text) else { return }
      said.append(text)
      notice(text)
    }
    while true {
      try checkpoint()
      var rest: UInt32 = 20
      switch try state() {
      case .stopping:
        say("the server is still stopping; it is started again after that")
        wasDown = true
        proved = nil
        watch = Stopwatch()
      case .running where isStopPending && (try? units?.unitIsChanging()) == true:
        say("systemd is still at work on the server's unit; waiting for its end")
        proved = nil
        watch = Stopwatch()
        rest = 200
      case .running(let postmaster):
        do {
          let proof = try prove(postmaster)
          if proved?.process != postmaster.processID {
            proved = (postmaster.processID, Stopwatch())
          }
          if !isStopPending || (proved?.since.seconds ?? 0) >= Self.doubt {
            (starts.last ?? recall)?.finish()
            return (proof, wasDown)
          }
          rest = 200
        } catch let failure as StillError {
          proved = nil
          if postmaster.status == "starting" {
            // Recovery takes as long as it takes, and nobody could do better.
            watch = Stopwatch()
            if let start = starts.last, start.watch.seconds > Self.grace {
              say("the server is starting; its log says how far it is")
            }
          } else if failure.status == .precondition || watch.seconds > patience {
            throw notUp(
              "the server is there, but does not prove itself: \(failure.message)",
              hint: "Connect to it and see what it says; if it is down: \(control.startLine)")
          }
        }
      case .down:
        wasDown = true
        proved = nil
        if let last = starts.last ?? recall {
          if units?.isGone == true { say("the broker has died; its sentinel starts the server") }
          guard try last.isOver(units, patience) else { break }
          let reason = "the server could not be started again: \(last.failure)"
          if starts.count == Self.attempts || units?.isGone == true {
            throw notUp(reason, hint: "Start it by hand: \(control.startLine)")
          }
          if !starts.isEmpty { notice("\(reason); trying once more") }
          recall = nil
        }
        watch = Stopwatch()
        starts.append(start(units))
      }
      Clock.sleep(milliseconds: rest)
    }
  }

  /// One attempt.
  private struct Start {
    /// nil for a unit, or where not even that could be done.
    var errand: Errand?
    var trouble: String?
    let line: String
    let watch = Stopwatch()

    /// Whether nothing more is to be expected of it, with the server still down.
    func isOver(_ units: (any ServiceUnits)?, _ patience: Double) throws -> Bool {
      // Of a broker that has died its sentinel does the work.
      if trouble != nil { return units?.isGone != true || watch.seconds > patience }
      if watch.seconds > patience {
        errand?.end()
        return true
      }
      if let errand {
        guard let status = errand.status else { return false }
        return status != 0 || watch.seconds > ServerSwitch.grace
      }
      let isChanging = (try? units?.unitIsChanging()) ?? false
      return !isChanging && watch.seconds > ServerSwitch.grace
    }

    var failure: String {
      trouble ?? errand?.failure ?? "\(line) was done, but no server came up"
    }

    /// The server is up before its starter is done with it, which is not our concern.
    func finish() { errand?.wait(atMost: ServerSwitch.patience) }
  }

  private func start(_ units: (any ServiceUnits)?) -> Start {
    do {
      if case .unit = control {
        guard let units else { throw noUnits() }
        try units.startUnit()
        return Start(line: control.startLine)
      }
      return Start(errand: try errand(control.startWords), line: control.startLine)
    } catch {
      let reason = (error as? StillError)?.message ?? "\(error)"
      return Start(trouble: reason, line: control.startLine)
    }
  }

  /// The failure that somebody has to act on at once.
  private func notUp(_ message: String, hint: String) -> StillError {
    var failure = StillError(.postgres, message, hint: hint)
    failure.further = logLines()
    return failure
  }

  /// The last lines of the server's log.
  private func logLines() -> [String] {
    guard let log, let file = try? OpenFile.open(FilePath(log)),
      let size = try? file.metadata().size
    else { return [] }
    let start = size > 8192 ? size - 8192 : 0
    var bytes = [UInt8](repeating: 0, count: Int(size - start))
    let count = (try? bytes.withUnsafeMutableBytes { try file.readFully(into: $0, at: start) }) ?? 0
    return String(decoding: bytes[..<count], as: UTF8.self).split(whereSeparator: \.isNewline)
      .suffix(8).map { "\(log): \($0)" }
  }
}
