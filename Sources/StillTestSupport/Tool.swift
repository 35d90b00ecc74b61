import Foundation
import StillSystem
import SystemPackage

/// Runs programs of the system, or the one under test, and keeps what they say.
public enum Tool {
  public struct Outcome: Sendable {
    /// The exit status; 128 + N for signal N.
    public var status: Int32
    public var output: String
    /// What came on standard error.
    public var talk: String
  }

  /// Runs a program, found in the PATH, to its end; its input is empty.
  ///
  /// - Parameter environment: takes the place of this process's own, where it is given.
  public static func run(
    _ words: [String], in folder: String? = nil, environment: [String: String]? = nil
  ) throws -> Outcome {
    let place = try TestFolder(on: .disk)
    let output = place.path.appending("output")
    let talk = place.path.appending("talk")
    // Not with Foundation's Process: it waits for whoever inherited its socket, so for every server
    // that a program leaves running. Into files: two pipes read one after the other fill up.
    let script = """
      exec </dev/null >"$1" 2>"$2"; [ -z "$3" ] || cd "$3" || exit; shift 3; exec "$@"
      """
    let child = try Child.start(
      "/bin/sh", ["-c", script, "sh", output.string, talk.string, folder ?? ""] + words,
      environment: environment ?? ProcessInfo.processInfo.environment)
    let status = child.wait()
    func text(_ path: FilePath) throws -> String {
      String(decoding: try OpenFile.open(path).readAll(limit: 1 << 30), as: UTF8.self)
    }
    return Outcome(status: status, output: try text(output), talk: try text(talk))
  }

  /// Runs a program that has to succeed.
  ///
  /// - Returns: what it printed on standard output.
  @discardableResult
  public static func demand(_ words: String...) throws -> String { try demand(words) }

  /// The same, for words that are a list already.
  @discardableResult
  public static func demand(_ words: [String]) throws -> String {
    let outcome = try run(words)
    guard outcome.status == 0 else {
      throw Trouble("\(words.joined(separator: " ")) ended with \(outcome.status): \(outcome.talk)")
    }
    return outcome.output
  }
}
