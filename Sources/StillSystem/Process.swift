import Glibc

/// This process.
public enum Process {
  /// Ends it. Nothing is cleaned up: whoever calls this has.
  public static func exit(_ status: Int32) -> Never { Glibc.exit(status) }

  /// Lets this process, and those it starts, open as many files as it is ever allowed. The usual limit
  /// of 1024 is for programs that use select(2); a pipeline with many workers may have more on the way.
  public static func raiseFileLimit() {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    limit.rlim_cur = limit.rlim_max
    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  }
}

/// The machine's processors.
public enum Processors {
  /// How many this process may use; at least 1.
  public static var count: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }
}
