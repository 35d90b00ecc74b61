import StillModel
import Synchronization

/// The order to stop, shared by the threads of one run: long work asks at its checkpoints whether it
/// was given, and ends there with the reason.
public final class Cancellation: Sendable {
  // The flag is what checkpoints look at, some of them once a block; the lock is taken only after.
  private let isOrdered = Atomic<Bool>(false)
  private let reason = Mutex<StillError?>(nil)
  private let interrupt = Mutex<(@Sendable () -> Void)?>(nil)

  private let parent: Cancellation?

  public init() { parent = nil }

  /// The order to stop one part of a run: given to the whole, it is given to the part.
  public init(within parent: Cancellation) { self.parent = parent }

  /// Orders everybody to stop. The first reason stays.
  public func cancel(_ error: StillError) {
    reason.withLock { if $0 == nil { $0 = error } }
    isOrdered.store(true, ordering: .releasing)
    interrupt.withLock { $0 }?()
  }

  /// Runs `body`, which has no checkpoints of its own; an order to stop meanwhile calls `interrupt`,
  /// on the thread that gives it, so that `body` fails.
  ///
  /// - Throws: the reason given to `cancel`, where there is one.
  public func interrupting<Result>(
    _ interrupt: @escaping @Sendable () -> Void, _ body: () throws -> Result
  ) throws -> Result {
    self.interrupt.withLock { $0 = interrupt }
    defer { self.interrupt.withLock { $0 = nil } }
    try checkpoint()
    do {
      return try parent?.interrupting(interrupt, body) ?? body()
    } catch {
      try checkpoint()
      throw error
    }
  }

  public var isCancelled: Bool {
    isOrdered.load(ordering: .acquiring) || parent?.isCancelled ?? false
  }

  /// The signal that asked for the end, where that is the reason.
  public var signal: Int32? { reason.withLock { $0?.signal } ?? parent?.signal }

  /// - Throws: the reason given to `cancel`, once it was called.
  public func checkpoint() throws {
    try parent?.checkpoint()
    guard isOrdered.load(ordering: .acquiring), let error = reason.withLock({ $0 }) else { return }
    throw error
  }
}
