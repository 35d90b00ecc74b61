import Foundation
import Glibc
import StillSystem
import StillTestSupport
import SystemPackage

/// The program, held where it has come to.
final class HeldProgram {
  private let child: Child
  private let output: OpenFile

  /// Starts it; returns when it is at a step, and stands still.
  ///
  /// - Parameter prefix: a program that becomes it, with its arguments.
  init(
    _ words: [String], at step: String, in place: TestFolder,
    environment: [String: String] = [:], prefix: [String] = []
  ) throws {
    let marks = place.path.appending("marks-\(UInt32.random(in: 0...UInt32.max))")
    try Tool.demand("install", "-m", "666", "/dev/null", marks.string)
    output = try .inMemory()
    // The rest is only as long as it takes to see the mark.
    child = try Child.start(
      "/usr/bin/env", prefix + [PgstillProgram.path()] + words,
      environment: [
        "PATH": "/usr/bin:/bin", "PGSTILL_TEST_PAUSE_AT": step, "PGSTILL_TEST_PAUSE_MS": "5000",
        "PGSTILL_TEST_MARKS": marks.string,
      ].merging(environment) { $1 }, input: .open("/dev/null"), output: output)
    while try !String(contentsOfFile: marks.string, encoding: .utf8).contains(" \(step)\n") {
      if let status = child.statusIfEnded() {
        throw Trouble("it ended with \(status): \(try talk())")
      }
      usleep(10_000)
    }
    child.signalGroup(SIGSTOP)
  }

  /// Lets it go on, to its end.
  func goOn() throws -> (status: Int32, talk: String) {
    child.signalGroup(SIGCONT)
    return (child.wait(), try talk())
  }

  /// Lets it go on for some seconds, and sends it a signal then.
  func goOnUntil(_ signal: Int32, after seconds: UInt32) throws -> (status: Int32, talk: String) {
    child.signalGroup(SIGCONT)
    sleep(seconds)
    Glibc.kill(child.process, signal)
    return (child.wait(), try talk())
  }

  func kill() -> Int32 {
    child.signalGroup(SIGKILL)
    return child.wait()
  }

  private func talk() throws -> String {
    try output.rewind()
    return String(decoding: try output.readAll(), as: UTF8.self)
  }
}
