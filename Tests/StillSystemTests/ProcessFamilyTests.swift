import StillTestSupport
import Testing

@testable import StillSystem

@Suite struct ProcessFamilyTests {
  /// Runs a script of bash's until the body is done.
  private func with(_ script: String, _ body: (ProcessFamily) throws -> Void) throws {
    let child = try Child.start(
      "/bin/bash", ["-c", script], environment: ["PATH": "/usr/bin:/bin"])
    defer {
      child.signalGroup(9)
      _ = child.wait()
    }
    Clock.sleep(milliseconds: 300)
    try body(ProcessFamily(of: child.process))
  }

  @Test("Processes that sleep are at rest, and those that ended are too")
  func sleeping() throws {
    try with("sleep 60 & sleep 60 & (sleep 60; true) & wait") {
      #expect($0.comesToRest(within: 5))
    }
    try with("sleep 0.6; exit") { #expect($0.comesToRest(within: 5)) }
  }

  @Test("One that never sleeps is not, be it a child of a child or a thread")
  func working() throws {
    try with("(sleep 60 & while :; do :; done) & wait") {
      #expect(!$0.comesToRest(within: 0.5))
    }
    let threads = """
      import threading, time
      def spin():
        while True: pass
      threading.Thread(target=spin).start()
      time.sleep(60)
      """
    try with("exec python3 -c \"\(threads)\"") { #expect(!$0.comesToRest(within: 0.5)) }
  }

  @Test("One that comes to rest later is waited for")
  func later() throws {
    try with("end=$((SECONDS + 2)); while [ $SECONDS -lt $end ]; do :; done; sleep 60") {
      #expect($0.comesToRest(within: 20))
    }
  }

  @Test("One that waits for something that nothing interrupts is not at rest")
  func uninterruptible() throws {
    // A parent of vfork(2) waits so until its child has a program of its own or ends.
    let script = """
      import ctypes
      libc = ctypes.CDLL(None)
      libc.syscall(58) or libc.pause()
      """
    try with("exec python3 -c '\(script)'") { #expect(!$0.comesToRest(within: 0.5)) }
  }

  @Test("Of a process that is not there nothing is known")
  func missing() throws {
    let child = try Child.start("/bin/true", [], environment: [:])
    _ = child.wait()
    #expect(!ProcessFamily(of: child.process).comesToRest(within: 0.1))
  }
}
