import Synchronization

/// Handles the pieces of one thing in their order and one at a time, whoever brings them and
/// whenever. Nobody waits: who comes too early leaves the piece to whoever brings the one before it.
final class InOrder<Piece: Sendable>: Sendable {
  private struct State {
    var next = 0
    var early: [Int: Piece] = [:]
    var isBusy = false
  }

  private let state = Mutex(State())

  /// Lets go of the pieces that wait.
  func abandon() { state.withLock { $0.early.removeAll() } }

  /// Hands in piece `number`, counted from 0, and handles it and those that follow it, if it is its
  /// turn. After an error nothing more is handled.
  func bring(_ piece: Piece, number: Int, _ handle: (Piece) throws -> Void) rethrows {
    var turn: Piece? = state.withLock { state in
      guard !state.isBusy, state.next == number else {
        state.early[number] = piece
        return nil
      }
      state.isBusy = true
      return piece
    }
    while let piece = turn {
      try handle(piece)
      turn = state.withLock { state in
        state.next += 1
        let next = state.early.removeValue(forKey: state.next)
        state.isBusy = next != nil
        return next
      }
    }
  }
}
