import Glibc
import StillModel

/// A thread of its own for work that blocks. It takes no signals, so that they go to the thread
/// that waits for them.
public final class WorkerThread: @unchecked Sendable {
  private var thread = pthread_t()
  private var isJoined = false

  private final class Work: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }

  /// Starts `body` at once. Whoever starts a thread joins it.
  ///
  /// - Throws: where the system has no room for another thread.
  public init(_ body: @escaping @Sendable () -> Void) throws {
    let work = Unmanaged.passRetained(Work(body))
    var all = sigset_t()
    var before = sigset_t()
    sigfillset(&all)
    pthread_sigmask(SIG_BLOCK, &all, &before)
    let code = pthread_create(
      &thread, nil,
      { argument in
        if let argument { Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().body() }
        return nil
      }, work.toOpaque())
    pthread_sigmask(SIG_SETMASK, &before, nil)
    if code != 0 {
      work.release()
      throw StillError.system("start", "a thread", code)
    }
  }

  /// Waits until the thread has ended. Called by one thread only.
  public func join() {
    guard !isJoined else { return }
    isJoined = true
    pthread_join(thread, nil)
  }
}
