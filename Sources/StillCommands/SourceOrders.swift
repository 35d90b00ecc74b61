import StillModel
import StillSystem
import StillTransfer

/// What the target says to pgstill on the source, line by line on its stdin: the invitation, then numbers of
/// signals. The end of it is the end of the target.
final class SourceOrders: Sendable {
  /// Where the source listens.
  let listener: OpenFile
  private let line: OpenFile
  private let passed = Monitor<[Int32]>([])

  init() throws { (listener, line) = try OpenFile.pipe() }

  /// Invites, and waits for the end. - Returns: the exit status of the connection.
  func accompany(_ connection: Child, _ invitation: Invitation) throws -> Int32 {
    try listener.close()
    // Where nobody listens any more, the end says why.
    try? line.writeAll(invitation.jsonLine())
    return connection.wait()
  }

  /// Tells the source of a signal, which counts there. For the third one nobody waits any more.
  func passOn(_ signal: Int32) {
    let count = passed.update { passed in
      passed.append(signal)
      return passed.count
    }
    try? line.writeAll(Array("\(signal)\n".utf8))
    if count >= 3 { Signals.endProcess(by: signal) }
  }

  /// The first signal, as what ended this process; nil where there was none.
  var interruption: StillError? { passed.update { $0.first }.map { .interrupted(by: $0) } }

  /// - Throws: that, before there is anybody who could be told.
  func checkpoint() throws { if let interruption { throw interruption } }
}
