import Glibc
import StillModel

/// Tells of the signals that ask a process to end, on a thread of its own: nothing runs in a signal
/// handler. Made by the main thread before others start, for they inherit the blocked signals.
public final class SignalWatch: Sendable {
  private let thread: WorkerThread
  private static let asked = [SIGINT, SIGTERM, SIGHUP]
  /// Ends the watch; nobody else sends it here.
  private static let enough = SIGUSR2

  /// - Parameter report: called with the number of each signal, on the watch's thread.
  public init(_ report: @escaping @Sendable (Int32) -> Void) throws {
    var watched = sigset_t()
    sigemptyset(&watched)
    for number in SignalWatch.asked + [SignalWatch.enough] { sigaddset(&watched, number) }
    pthread_sigmask(SIG_BLOCK, &watched, nil)
    thread = try WorkerThread {
      var watched = sigset_t()
      sigemptyset(&watched)
      for number in SignalWatch.asked + [SignalWatch.enough] { sigaddset(&watched, number) }
      while true {
        var number: Int32 = 0
        guard sigwait(&watched, &number) == 0, number != SignalWatch.enough else { return }
        report(number)
      }
    }
  }

  /// Ends the watch; the signals have their usual effect again.
  public func end() {
    kill(getpid(), SignalWatch.enough)
    thread.join()
    var watched = sigset_t()
    sigemptyset(&watched)
    for number in SignalWatch.asked { sigaddset(&watched, number) }
    pthread_sigmask(SIG_UNBLOCK, &watched, nil)
  }
}
