import Foundation
import StillSystem
import StillTestSupport
import Testing

/// A run that is asked to end by signals, while it rests where a test wants it.
@Suite struct InterruptionTests {
  @Test(
    "The first signal ends the run in order, with 128 and its number",
    arguments: [
      SIGINT, SIGTERM, SIGHUP,
    ])
  func first(signal: Int32) throws {
    let run = try Interrupted(rest: 2)
    run.send(signal)
    #expect(run.wait() == 128 + signal)
    #expect(run.talk.contains("signal \(signal): stopping; nothing more will be published"))
    #expect(run.talk.contains("pgstill: ended by signal \(signal)"))
  }

  @Test("The status is that of the first signal; the second one says that nothing is waited for")
  func second() throws {
    let run = try Interrupted(rest: 2)
    run.send(SIGTERM)
    run.send(SIGINT)
    #expect(run.wait() == 128 + SIGTERM)
    #expect(run.talk.contains("signal 2: not waiting any longer"))
    #expect(run.talk.contains("pgstill: ended by signal 15"))
  }

  @Test("The third signal ends the process where it stands")
  func third() throws {
    // Would it not, the test would wait for an hour.
    let run = try Interrupted(rest: 3600)
    run.send(SIGINT)
    run.send(SIGINT)
    run.send(SIGTERM, isNoticed: false)
    #expect(run.wait() == 128 + SIGTERM)
    #expect(!run.talk.contains("pgstill: ended by signal"), "it ended in order")
  }

  @Test("A stray SIGUSR2 changes nothing: the next signal ends the run in order")
  func stray() throws {
    let run = try Interrupted(rest: 2)
    run.send(SIGUSR2, isNoticed: false)
    usleep(200_000)
    run.send(SIGTERM)
    #expect(run.wait() == 128 + SIGTERM)
    #expect(run.talk.contains("signal 15: stopping; nothing more will be published"))
  }

  @Test("A signal that was ignored from the start, as by nohup, does not end the run")
  func ignored() throws {
    let run = try Interrupted(rest: 2, ignoring: "HUP")
    run.send(SIGHUP, isNoticed: false)
    #expect(run.wait() == 0)
    #expect(!run.talk.contains("signal"))
  }
}

/// `pgstill verify`, which rests at the beginning of its work.
private final class Interrupted {
  private let child: Child
  private let talkFile: String

  init(rest: Int, ignoring: String? = nil) throws {
    let site = try Site.shared.get()
    let place = try TestFolder(on: .memory, owner: FakeHost.owner)
    let marks = place.path.appending("marks").string
    talkFile = "/tmp/talk-\(UUID().uuidString)"
    try Data().write(to: URL(filePath: marks))
    chmod(marks, 0o666)
    let trap = ignoring.map { "trap '' \($0); " } ?? ""
    child = try Child.start(
      "/bin/sh",
      [
        "-c", trap + "exec \"$@\" </dev/null >/dev/null 2>\"$0\"", talkFile,
        try PgstillProgram.path(),
        "verify", try site.id(), "--repo", site.repository.string, "--progress", "none",
      ],
      environment: [
        "PATH": "/usr/bin:/bin", "PGSTILL_TEST_PAUSE_AT": "verify.begin",
        "PGSTILL_TEST_PAUSE_MS": "\(rest * 1000)", "PGSTILL_TEST_MARKS": marks,
      ])
    while try !String(contentsOfFile: marks, encoding: .utf8).contains("verify.begin") {
      usleep(10_000)
    }
  }

  deinit { try? FileManager.default.removeItem(atPath: talkFile) }

  var talk: String { (try? String(contentsOfFile: talkFile, encoding: .utf8)) ?? "" }

  /// Two of the same kind that wait would be one: goes on when it was taken notice of.
  func send(_ signal: Int32, isNoticed: Bool = true) {
    let before = talk.count
    kill(child.process, signal)
    guard isNoticed else { return }
    for _ in 0..<500 where talk.count == before { usleep(10_000) }
  }

  func wait() -> Int32 { child.wait() }
}
