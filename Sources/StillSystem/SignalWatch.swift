import Glibc
import StillModel

/// Tells of the signals that ask a process to end, on a thread of its own: nothing runs in a signal
/// handler. Made by the main thread before others start, for they inherit the blocked signals.
///
/// A signal that this process was started to ignore, as nohup(1) does, stays ignored.
public final class SignalWatch: Sendable {
  private let thread: WorkerThread
  private let asked: [Int32]
  /// Ends the watch; nobody else sends it here.
  private static let enough = SIGUSR2

  /// - Parameter report: called with the number of each signal, on the watch's thread.
  public init(_ report: @escaping @Sendable (Int32) -> Void) throws {
    let asked = [SIGINT, SIGTERM, SIGHUP].filter { !SignalWatch.isIgnored($0) }
    self.asked = asked
    var watched = SignalWatch.set(asked + [SignalWatch.enough])
    pthread_sigmask(SIG_BLOCK, &watched, nil)
    thread = try WorkerThread {
      var watched = SignalWatch.set(asked + [SignalWatch.enough])
      while true {
        var sent = siginfo_t()
        let number = sigwaitinfo(&watched, &sent)
        if number == SignalWatch.enough {
          // From anybody else it means nothing.
          if sent._sifields._kill.si_pid == getpid() { return }
        } else if number > 0 {
          report(number)
        } else if errno != EINTR {
          return
        }
      }
    }
  }

  /// Ends the watch; the signals have their usual effect again.
  public func end() {
    kill(getpid(), SignalWatch.enough)
    thread.join()
    var watched = SignalWatch.set(asked)
    pthread_sigmask(SIG_UNBLOCK, &watched, nil)
  }

  private static func isIgnored(_ number: Int32) -> Bool {
    var action = sigaction()
    guard sigaction(number, nil, &action) == 0 else { return false }
    return unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self)
      == unsafeBitCast(SIG_IGN, to: Int.self)
  }

  private static func set(_ numbers: [Int32]) -> sigset_t {
    var set = sigset_t()
    sigemptyset(&set)
    for number in numbers { sigaddset(&set, number) }
    return set
  }
}
