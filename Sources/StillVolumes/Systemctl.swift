import StillModel
import StillSystem

/// systemctl(1), run by the broker with the names of units that it found itself.
struct Systemctl {
  /// - Parameters:
  ///   - limit: in seconds.
  ///   - lifeline: a descriptor that it is to have open too (`UnitSentinel`).
  /// - Returns: its last lines.
  /// - Throws: `.postgres` where it fails or does not end in time.
  @discardableResult
  func run(
    _ words: [String], within limit: Double = 30, lifeline: Int32? = nil
  ) throws -> [String] {
    let errand = try Errand(
      [Systemd.program] + words,
      environment: ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "SYSTEMD_PAGER": ""],
      socket: lifeline)
    let status = errand.wait(atMost: limit)
    guard status == 0 else {
      let failure = errand.failure
      errand.end()
      throw StillError(
        .postgres, failure, hint: "journalctl -u \(words.last ?? "") may tell why.")
    }
    return errand.lines
  }

  /// One property of a unit.
  func show(_ property: String, of unit: String) throws -> String {
    try run(["show", "--property=\(property)", "--value", unit]).joined()
  }

  /// nil where it has none, or does not run.
  func mainProcess(of unit: String) throws -> Int32? {
    guard let process = Int32(try show("MainPID", of: unit)), process > 0 else { return nil }
    return process
  }

  /// Whether a unit is on its way to another state, or a job that will bring it there waits.
  func isChanging(_ unit: String) throws -> Bool {
    let state = try show("ActiveState", of: unit)
    if ["activating", "deactivating", "reloading"].contains(state) { return true }
    return try !["", "0"].contains(show("Job", of: unit))
  }

  func isUp(_ unit: String) throws -> Bool {
    ["active", "activating", "reloading"].contains(try show("ActiveState", of: unit))
  }

  /// Every unit that runs and that systemd stops when this one is stopped, because it requires it or
  /// is a part of it, and whatever is stopped with those. (systemd hands a stop on along these
  /// properties: src/core/unit-dependency-atom.c, UNIT_ATOM_PROPAGATE_STOP.)
  ///
  /// A target does nothing itself, and to start it would start all that it wants, also what somebody
  /// has stopped on purpose; so is `postgresql.service` on Debian, the meta unit of all clusters. What
  /// depends on them is there, they are not.
  func dependants(of unit: String) throws -> [String] {
    let properties = "RequiredBy,RequisiteOf,BoundBy,ConsistsOf,PropagatesStopTo"
    let kinds = ["service", "socket", "timer", "path", "mount", "target"]
    var seen = [unit]
    var next = 0
    while next < seen.count {
      let lines = try run(["show", "--property=\(properties)", seen[next]])
      next += 1
      for line in lines {
        guard let names = line.split(separator: "=", maxSplits: 1).dropFirst().first else {
          continue
        }
        for name in names.split(separator: " ").map(String.init)
        where !seen.contains(name)
          && kinds.contains(where: { ServiceUnit.isValid(name, ofKind: $0) })
        {
          seen.append(name)
        }
      }
    }
    return try seen.dropFirst().filter {
      try !$0.hasSuffix(".target") && $0 != "postgresql.service" && isUp($0)
    }.sorted()
  }
}
