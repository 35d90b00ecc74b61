import CStill
import Glibc
import StillModel

/// A program that was started and has to be waited for.
public struct Child: Sendable {
  public let process: Int32

  /// Starts a program with nothing of ours but the standard streams; see `still_spawn` for the state
  /// that it begins in.
  ///
  /// - Parameters:
  ///   - input: its stdin, where that is not to be ours.
  ///   - output: its stdout and stderr, where these are not to be ours.
  ///   - errors: its stderr, where that is to be another one.
  ///   - third: its descriptor 3, if it is to have one.
  ///   - hasOwnSession: true for one that outlives the terminal.
  ///   - isTied: true for one that must not outlive the thread that starts it, however that ends.
  public static func start(
    _ program: String, _ arguments: [String], environment: [String: String],
    input: OpenFile? = nil, output: OpenFile? = nil, errors: OpenFile? = nil,
    third: Int32? = nil,
    hasOwnSession: Bool = false, isTied: Bool = false
  ) throws -> Child {
    var argv: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) }
    argv.append(nil)
    var variables: [UnsafeMutablePointer<CChar>?] = environment.map { strdup("\($0)=\($1)") }
    variables.append(nil)
    defer { for pointer in argv + variables { free(pointer) } }
    let process = still_spawn(
      program, argv, variables, input?.descriptor ?? -1, output?.descriptor ?? -1,
      (errors ?? output)?.descriptor ?? -1, third ?? -1,
      hasOwnSession ? 1 : 0, isTied ? 1 : 0)
    let code = errno
    guard process > 0 else { throw StillError.system("start", program, code) }
    return Child(process: process)
  }

  /// Its exit status if it has ended; nil while it runs.
  public func statusIfEnded() -> Int32? {
    var status: Int32 = 0
    return waitpid(process, &status, WNOHANG) == process ? still_exit_status(status) : nil
  }

  /// Signals it and all that it started, for it has a process group of its own.
  public func signalGroup(_ number: Int32) { kill(-process, number) }

  /// Waits for its end: its exit status, or 128 and the signal that ended it.
  public func wait() -> Int32 {
    var status: Int32 = 0
    while waitpid(process, &status, 0) < 0 {
      if errno != EINTR { return -1 }
    }
    return still_exit_status(status)
  }
}
