import Glibc

/// The environment that this process was started with.
public enum Environment {
  public static func value(_ name: String) -> String? {
    getenv(name).map { String(cString: $0) }
  }

  public static var processID: Int32 { getpid() }
}
