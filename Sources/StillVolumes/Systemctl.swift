import StillModel
import StillSystem

/// systemctl(1), run by the broker with the names of units that it found itself.
struct Systemctl {
  /// - Parameter limit: in seconds.
  /// - Returns: the end of what it said.
  /// - Throws: `.postgres` where it fails or does not end in time.
  @discardableResult
  func run(_ words: [String], within limit: Double = 30) throws -> String {
    let errand = try Errand(
      [Systemd.program] + words,
      environment: ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "SYSTEMD_PAGER": ""])
    let status = errand.wait(atMost: limit)
    guard status == 0 else {
      let failure = errand.failure
      errand.end()
      throw StillError(
        .postgres, failure, hint: "journalctl -u \(words.last ?? "") may tell why.")
    }
    return errand.words
  }

  /// One property of a unit.
  func show(_ property: String, of unit: String) throws -> String {
    try run(["show", "--property=\(property)", "--value", unit])
  }

  /// nil where it has none, or does not run.
  func mainProcess(of unit: String) throws -> Int32? {
    guard let process = Int32(try show("MainPID", of: unit)), process > 0 else { return nil }
    return process
  }
}
