/// Why something could not be done, in words for the person who has to act on it.
///
/// `message` says what failed on what, in lower case and without a final period; `hint` says in a
/// sentence what to do about it. `status` is the exit status that the failure ends the process with.
public struct StillError: Error, Equatable, Sendable, Codable {
  public var status: ExitStatus
  public var message: String
  public var hint: String?
  /// What was being done, for example "while copying"; the engine fills it in.
  public var phase: String?
  /// Failures of the clean-up that followed this one.
  public var further: [String]
  /// The signal that asked for the end, where that is the reason.
  public var signal: Int32?

  public init(_ status: ExitStatus, _ message: String, hint: String? = nil) {
    self.status = status
    self.message = message
    self.hint = hint
    self.phase = nil
    self.further = []
  }

  /// The run was ended by a signal.
  public static func interrupted(by signal: Int32) -> StillError {
    var error = StillError(.failed, "ended by signal \(signal)")
    error.signal = signal
    return error
  }

  /// What the process ends with.
  public var exitCode: Int32 { signal.map { 128 + $0 } ?? status.rawValue }

  /// The same failure, seen from a phase of the work: a plain `.failed` takes the phase's status,
  /// a status that already says more is kept.
  public func during(_ phase: String, as status: ExitStatus) -> StillError {
    var copy = self
    if copy.status == .failed { copy.status = status }
    if copy.phase == nil { copy.phase = phase }
    return copy
  }
}

extension StillError: CustomStringConvertible {
  public var description: String {
    var text = message
    if let phase { text += " (while \(phase))" }
    for line in further { text += "\nalso: \(line)" }
    if let hint { text += "\nhint: \(hint)" }
    return text
  }
}

/// Runs one phase of the work, so that its failures say which phase it was.
///
/// - Throws: whatever `body` throws, as a `StillError` that names the phase.
public func phase<Result>(
  _ name: String, failsAs status: ExitStatus, _ body: () throws -> Result
) throws -> Result {
  do {
    return try body()
  } catch let error as StillError {
    throw error.during(name, as: status)
  } catch {
    throw StillError(status, "\(error)").during(name, as: status)
  }
}
