import Glibc

/// The environment that this process was started with.
public enum Environment {
  public static func value(_ name: String) -> String? {
    getenv(name).map { String(cString: $0) }
  }

  /// Every variable.
  public static var all: [String: String] {
    var variables: [String: String] = [:]
    var next = environ
    while let entry = next.pointee {
      let text = String(cString: entry)
      if let end = text.firstIndex(of: "=") {
        variables[String(text[..<end])] = String(text[text.index(after: end)...])
      }
      next += 1
    }
    return variables
  }

  /// What says in which language and characters programs speak.
  public static var language: [String: String] {
    all.filter { $0.key == "LANG" || $0.key == "TZ" || $0.key.hasPrefix("LC_") }
  }

  /// Removes every variable of libpq (the manual, "Environment Variables"), where it is known better.
  /// To be called before other threads read the environment.
  public static func forgetLibpq() {
    for name in all.keys where name.hasPrefix("PG") && !name.hasPrefix("PGSTILL") {
      unsetenv(name)
    }
  }

  public static var processID: Int32 { getpid() }
}
