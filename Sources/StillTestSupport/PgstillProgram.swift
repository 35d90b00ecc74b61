import Foundation
import StillSystem
import SystemPackage

/// The program under test, as a process.
public enum PgstillProgram {
  /// PGSTILL_EXECUTABLE, else the one that was built with these tests.
  public static func path() throws -> String {
    if let given = Environment.value("PGSTILL_EXECUTABLE") { return given }
    let tests = try FilePath("/proc/self/exe").resolved()
    let path = tests.removingLastComponent().appending("pgstill").string
    guard FileManager.default.isExecutableFile(atPath: path) else {
      throw Trouble("there is no \(path); build it, or set PGSTILL_EXECUTABLE")
    }
    return path
  }

  /// Runs it to its end, in an environment without anything of libpq's.
  ///
  /// - Parameters:
  ///   - environment: in addition to PATH and the language.
  ///   - prefix: a program that runs it, with its arguments.
  public static func run(
    _ words: [String], as user: String? = nil, environment: [String: String] = [:],
    prefix: [String] = []
  ) throws -> Tool.Outcome {
    var all = ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"]
    all.merge(environment) { $1 }
    let isOther = user != nil && Account.effectiveUser == 0
    let become =
      isOther
      ? ["setpriv", "--reuid=\(user ?? "")", "--regid=\(user ?? "")", "--init-groups", "--"] : []
    return try Tool.run(prefix + become + [try path()] + words, in: "/", environment: all)
  }
}
