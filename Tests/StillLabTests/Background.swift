import Foundation
import StillSystem
import StillTestSupport

/// A shell command that runs beside a test.
final class Background {
  private let child: Child
  private var status: Int32?

  init(_ command: String) throws {
    child = try Child.start(
      "/bin/bash", ["-c", "exec </dev/null >/dev/null 2>&1; \(command)"],
      environment: ProcessInfo.processInfo.environment)
  }

  /// Its exit status, once it has ended; 128 + N for signal N.
  func wait() -> Int32 {
    let ended = status ?? child.wait()
    status = ended
    return ended
  }

  var process: Int32 { child.process }

  func end() {
    guard status == nil else { return }
    kill(child.process, SIGKILL)
    _ = wait()
  }
}

/// Waits for what has to come about; the limit only keeps a broken test from waiting for ever.
func waitUntil(_ what: String, _ condition: () throws -> Bool) throws {
  for _ in 0..<2400 {
    if try condition() { return }
    usleep(50_000)
  }
  throw Trouble("it never came about that \(what)")
}
