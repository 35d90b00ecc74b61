import Glibc

/// This process.
public enum Process {
  /// Ends it. Nothing is cleaned up: whoever calls this has.
  public static func exit(_ status: Int32) -> Never { Glibc.exit(status) }
}

/// The machine's processors.
public enum Processors {
  /// How many this process may use; at least 1.
  public static var count: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }
}
