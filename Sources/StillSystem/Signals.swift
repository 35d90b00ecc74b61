import Glibc
import StillModel

/// What a process does about signals.
public enum Signals {
  /// Lets nothing but SIGKILL end this process: for one that has to finish what it began and ends
  /// when its partner does.
  public static func ignoreAll() {
    for number in [
      SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1, SIGUSR2, SIGALRM, SIGXCPU, SIGXFSZ,
      SIGTSTP, SIGTTIN, SIGTTOU,
    ] {
      signal(number, SIG_IGN)
    }
  }

  /// Ends this process at once, as if it had never watched for this signal.
  public static func endProcess(by number: Int32) {
    signal(number, SIG_DFL)
    var only = sigset_t()
    sigemptyset(&only)
    sigaddset(&only, number)
    pthread_sigmask(SIG_UNBLOCK, &only, nil)
    raise(number)
  }

  /// Sends this process a signal that asks it to end, as somebody at its terminal would, or the end of
  /// that terminal; any other number does nothing.
  public static func askToEnd(_ number: Int32 = SIGHUP) {
    if [SIGINT, SIGTERM, SIGHUP].contains(number) { kill(getpid(), number) }
  }

  /// A peer that is gone shows as an error of write(2), not as the end of this process.
  public static func ignoreBrokenPipes() { signal(SIGPIPE, SIG_IGN) }
}
