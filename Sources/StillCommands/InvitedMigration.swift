import FoundationEssentials
import StillModel
import StillSystem
import StillTransfer

extension Invitation {
  func jsonLine() throws -> [UInt8] {
    try Array(JSONEncoder().encode(self)) + [UInt8(ascii: "\n")]
  }

  /// Reads the invitation that the target sends first.
  ///
  /// - Throws: `.usage` where something else is on stdin.
  static func receive(_ lines: inout InputLines) throws -> Invitation {
    let first = try lines.next(within: 60_000)
    // The target was told to end before it could invite anybody.
    if case .line(let text) = first, let signal = Int32(text) {
      throw StillError.interrupted(by: signal)
    }
    guard case .line(let text) = first,
      let invitation = try? JSONDecoder().decode(Invitation.self, from: Data(text.utf8))
    else {
      throw StillError(
        .usage, "--invited is what migrate --from says to pgstill on the source",
        hint: "Use --to here, or --from on the target.")
    }
    return invitation
  }
}

/// The source's side of a pulled migration: it goes to the target as the target's guest, the target's
/// signals count as its own, and the target's end is that of a terminal.
final class InvitedGuest {
  private let guest: DoorwayGuest
  private let hasLeft: Monitor<Bool>
  private let listener: WorkerThread

  let invitation: Invitation

  /// ssh to the target, and its arguments.
  var shell: [String] { guest.shell }

  /// - Parameter lines: what the target says after the invitation.
  init(_ invitation: Invitation, _ lines: InputLines) throws {
    self.invitation = invitation
    guest = try DoorwayGuest(invitation)
    let hasLeft = Monitor(false)
    self.hasLeft = hasLeft
    listener = try WorkerThread {
      var lines = lines
      while !hasLeft.update({ $0 }) {
        switch try? lines.next(within: 100) {
        case .line(let text): if let signal = Int32(text) { Signals.askToEnd(signal) }
        case .nothing: continue
        case .end, nil: return Signals.askToEnd()
        }
      }
    }
  }

  /// Carries out what has no checkpoints of its own: the target's signals, and its end, wait for that.
  static func steadily<Result>(_ guest: InvitedGuest?, _ body: () throws -> Result) throws -> Result
  {
    guard guest != nil else { return try body() }
    return try Interruption.watch { _ in try body() }
  }

  /// Says in this host's log what the target may not hear any more.
  func note(_ failure: any Error) {
    SystemLog.warn("the move that \(invitation.host) asked for failed: \(failure)")
  }

  /// Nobody listens any more.
  func leave() {
    hasLeft.update { $0 = true }
    listener.join()
  }
}
