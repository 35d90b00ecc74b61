import StillModel
import StillSystem

/// Threads that take whole files from a queue. Who fills it waits where too many wait already; the
/// first error of any of them is what the next call throws.
final class WorkCrew: Sendable {
  /// What one thread has for itself.
  final class Tools {
    /// Bytes of a file that are looked at together.
    static let roomSize = 1 << 20
    let room = UnsafeMutableRawBufferPointer.allocate(byteCount: roomSize, alignment: 4096)
    /// For those of another file, to be compared with them; made for whoever asks.
    private(set) lazy var otherRoom: UnsafeMutableRawBufferPointer = {
      let room = UnsafeMutableRawBufferPointer.allocate(byteCount: Tools.roomSize, alignment: 4096)
      madeOtherRoom = room
      return room
    }()
    private var madeOtherRoom: UnsafeMutableRawBufferPointer?
    let checksums: Checksums
    let checkpoint: () throws -> Void

    init(checkpoint: @escaping () throws -> Void) {
      self.checkpoint = checkpoint
      checksums = Checksums(checkpoint: checkpoint)
    }

    deinit {
      room.deallocate()
      madeOtherRoom?.deallocate()
    }
  }

  typealias Work = @Sendable (Tools) throws -> Void

  private struct State {
    var waiting: [Work] = []
    var atWork = 0
    var isOver = false
    var failure: (any Error)?
  }

  private struct Abandoned: Error {}

  /// Each of them has files open.
  private static let longestQueue = 64
  private let shared: Monitor<State>
  private let threads: [WorkerThread]

  init(workers: Int, cancellation: Cancellation?) throws {
    shared = Monitor(State())
    var threads: [WorkerThread] = []
    let shared = shared
    do {
      for _ in 0..<max(1, workers) {
        threads.append(try WorkerThread { WorkCrew.run(shared, cancellation) })
      }
    } catch {
      shared.update { $0.isOver = true }
      for thread in threads { thread.join() }
      throw error
    }
    self.threads = threads
  }

  deinit {
    shared.update { state in
      state.isOver = true
      state.waiting.removeAll()
      if state.failure == nil { state.failure = Abandoned() }
    }
    for thread in threads { thread.join() }
  }

  /// Hands in work, and returns as soon as there is room for it in the queue.
  func give(_ work: @escaping Work) throws {
    try shared.wait { state -> Void? in
      if let failure = state.failure { throw failure }
      guard state.waiting.count < WorkCrew.longestQueue else { return nil }
      state.waiting.append(work)
      return ()
    }
  }

  /// Waits until all work is done.
  func drain() throws {
    try shared.wait { state -> Void? in
      if state.atWork > 0 { return nil }
      if let failure = state.failure { throw failure }
      return state.waiting.isEmpty ? () : nil
    }
  }

  private static func run(_ shared: Monitor<State>, _ cancellation: Cancellation?) {
    let tools = Tools {
      try cancellation?.checkpoint()
      if shared.update({ $0.failure != nil }) { throw Abandoned() }
    }
    while true {
      let work: Work? = shared.wait { state -> Work?? in
        if !state.waiting.isEmpty {
          state.atWork += 1
          return .some(state.waiting.removeFirst())
        }
        return state.isOver ? .some(nil) : nil
      }
      guard let work else { return }
      do {
        try tools.checkpoint()
        try work(tools)
        shared.update { $0.atWork -= 1 }
      } catch {
        shared.update { state in
          state.atWork -= 1
          state.waiting.removeAll()
          if state.failure == nil { state.failure = error }
        }
      }
    }
  }
}
