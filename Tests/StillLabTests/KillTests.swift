import Foundation
import StillTestSupport
import Testing

extension LabTests {
  /// Every process of a backup is killed, at every step, while the cluster is written to: nobody waits
  /// for longer than the deadline, nothing is published that is not whole, nothing is left behind.
  @Suite(.serialized)
  struct KillTests {
    @Test func whoeverIsKilledAndWheneverTheServerRunsOnAndNothingIsLeft() throws {
      try Lab.cluster()
      let site = try KillSite()
      let some = Lab.layout == "classic" ? KillCase.some : KillCase.someThin
      for (index, kill) in (Lab.runsAll ? KillCase.all : some).enumerated() {
        do {
          print(try site.run(kill, releasedByNextRun: index % 4 == 3))
        } catch {
          Issue.record("\(kill): \(error)")
          try Tool.demand(Lab.executable("pgstill"), "release")
        }
        // A table that can be followed while it grows.
        fflush(nil)
      }
      try site.end()
    }

    @Test func aBrokerThatIsStoppedInsideTheWindowHoldsNobodyForLonger() throws {
      try Lab.cluster()
      let repository = try Lab.newFolder("repo")
      let heart = try Heartbeat(["/mnt/data", "/mnt/wal", "/mnt/tbs"])
      let victim = try KillVictim(at: "all-suspended", rest: 1, repository)
      try victim.waitInside()
      kill(victim.broker, SIGSTOP)
      try waitUntil("everything runs again") { try Lab.suspendedDevices().isEmpty }
      usleep(1_000_000)
      #expect(try Lab.sql("select 1") == "1")
      kill(victim.broker, SIGCONT)
      #expect(victim.wait() == 13)
      let longest = try heart.end()
      #expect(longest > 1.9 && longest < 4, "the longest stall was \(longest) s")
      #expect(try Lab.published(repository) == [])
      #expect(try Lab.snapshots() == [])
    }

    /// The terminal is a real one, and goes away: the kernel sends SIGHUP.
    @Test func aTerminalThatClosesEndsTheRunInOrder() throws {
      try Lab.cluster()
      let repository = try Lab.newFolder("repo")
      let marks = try Marks()
      let terminal = try Background(
        "exec script -qec 'exec env PGSTILL_TEST_MARKS=\(marks.path) PGSTILL_TEST_PAUSE_AT=copy.begin "
          + "PGSTILL_TEST_PAUSE_MS=2000 \(Lab.executable("pgstill")) backup --pgdata "
          + "\(Lab.dataDirectory) --repo \(repository)' /dev/null")
      let run = try marks.wait(for: "copy.begin", of: "coordinator")
      terminal.end()
      try waitUntil("the run ends") { kill(run, 0) != 0 }
      try waitUntil("its processes end") { try Lab.processes() == [] }
      // In order: the run itself has released, nobody else.
      #expect(try Lab.snapshots() == [])
      #expect(try Lab.published(repository) == [])
      #expect(try Tool.demand("find", repository, "-name", ".partial*") == "")
    }

    @Test func aSecondSignalDoesNotWaitForTheReleaseWhichIsDoneAllTheSame() throws {
      try Lab.cluster()
      let repository = try Lab.newFolder("repo")
      let victim = try KillVictim(at: "removed1", rest: 3, repository)
      _ = try victim.marks.wait(for: "copy.begin", of: "coordinator")
      kill(victim.coordinator, SIGINT)
      _ = try victim.marks.wait(for: "removed1", of: "broker")
      kill(victim.coordinator, SIGINT)
      #expect(victim.wait() == 130)
      #expect(try Lab.snapshots().count == 2, "it waited")
      try waitUntil("the broker ends") { try Lab.processes() == [] }
      #expect(try Lab.snapshots() == [])
      #expect(try Lab.published(repository) == [])
    }
  }
}
