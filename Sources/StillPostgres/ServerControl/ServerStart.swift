import StillModel
import StillSystem
import SystemPackage

extension ServerSwitch {
  /// How often a start is tried.
  private static let attempts = 2
  /// Seconds that a server may take to come up once its start was asked for.
  private static let patience = 120.0
  /// Seconds for a server to show itself after a start that says it went well: a command may only
  /// have asked somebody else to start it.
  private static let grace = 5.0

  /// Sees to it that the server runs, whatever state it is in: it waits for one that is still
  /// stopping, however long that takes, and starts one that is down, a second time where the first
  /// fails. No exit status is believed, but only the proof: systemd can call a failed start a success
  /// (`ExecStart=-` of Debian's unit).
  ///
  /// - Parameters:
  ///   - units: starts units of systemd.
  ///   - notice: told of what takes long or goes wrong.
  ///   - prove: asks the server that is there; throws as long as it gives no proof. `.precondition`
  ///     means that it never will.
  /// - Returns: the proof, right after it was given, and whether the server had been down or on its
  ///   way down.
  /// - Throws: `.postgres` with everything that helps to start the server by hand.
  public func ensureUp<Proof>(
    units: (any ServiceUnits)?, notice: (String) -> Void, prove: (Postmaster) throws -> Proof
  ) throws -> (proof: Proof, wasDown: Bool) {
    var starts: [Start] = []
    var watch = Stopwatch()
    var isWaitingSaid = false
    while true {
      switch try state() {
      case .stopping:
        if !isWaitingSaid { notice("the server is still stopping; it is started again after that") }
        isWaitingSaid = true
        watch = Stopwatch()
      case .running(let postmaster):
        do {
          let proof = try prove(postmaster)
          starts.last?.finish()
          return (proof, !starts.isEmpty || isWaitingSaid)
        } catch let failure as StillError {
          if failure.status == .precondition || watch.seconds > Self.patience {
            throw notUp(
              "the server is there, but does not prove itself: \(failure.message)",
              hint: "Connect to it and see what it says; if it is down: \(control.startLine)")
          }
        }
      case .down:
        if let last = starts.last {
          guard try last.isOver(units) else { break }
          let reason = "the server could not be started again: \(last.failure)"
          if starts.count == Self.attempts {
            throw notUp(reason, hint: "Start it by hand: \(control.startLine)")
          }
          notice("\(reason); trying once more")
        }
        watch = Stopwatch()
        starts.append(try start(units))
      }
      Clock.sleep(milliseconds: 20)
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
    func isOver(_ units: (any ServiceUnits)?) throws -> Bool {
      if trouble != nil { return true }
      if watch.seconds > ServerSwitch.patience {
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

  private func start(_ units: (any ServiceUnits)?) throws -> Start {
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
