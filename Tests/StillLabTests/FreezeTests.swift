import Foundation
import StillModel
import StillTestSupport
import Testing

extension LabTests {
  @Suite(.serialized)
  struct FreezeTests {
    @Test func frozenSetsAreOfOneInstantAndPlainOnesAreTorn() throws {
      try Lab.cluster()
      // As the cluster's own files: beside them, and below the tablespace's and the WAL's folders.
      let places = [
        "vg0/data=\(Lab.dataDirectory)", "vg1/tbs=\(Lab.tablespace)", "vg0/wal=/mnt/wal/pg_wal",
      ]
      let frozen = try Tool.run([Lab.executable("freeze-trial"), "--windows", "100"] + places)
      print(frozen.output)
      #expect(frozen.status == 0, "\(frozen.output) \(frozen.talk)")
      #expect(frozen.output.contains("torn: 0 of 100"))
      let sets = frozen.output.split(separator: "\n").filter { $0.hasPrefix("set ") }
      let moments = Set(sets.map { $0.split(separator: " ")[3] })
      #expect(moments.count == 100, "some windows show the same moment")

      let plain = try Tool.run(
        [Lab.executable("freeze-trial"), "--control", "--windows", "10"] + places)
      print(plain.output)
      let line = try #require(plain.output.split(separator: "\n").last)
      let torn = try #require(line.split(separator: " ").dropFirst().first.flatMap { Int($0) })
      #expect(torn >= 6, "the control shows nothing: \(plain.output)")
      #expect(try Lab.snapshots() == [])
      #expect(try Lab.ownDevices() == [])
    }

    @Test func theGuardEndsAWindowThatPassesItsDeadline() throws {
      try Lab.cluster()
      let repository = try Lab.newFolder("repo")
      let began = Date()
      let backup = try Lab.pgstill(
        "backup", "--pgdata", Lab.dataDirectory, "--repo", repository, "--freeze-deadline", "1",
        hooks: Lab.pause(at: "all-suspended", seconds: 6))
      #expect(Date().timeIntervalSince(began) > 1, "the hook did not hold the window open")
      #expect(backup.status == 13)
      #expect(backup.talk.contains("passed its deadline"))
      #expect(backup.talk.contains("hint: "))
      try expectNothingLeft(repository)
    }

    @Test func writersWaitNoLongerThanTheDeadline() throws {
      try Lab.cluster()
      let repository = try Lab.newFolder("repo")
      try Tool.demand("rm", "-f", "/mnt/data/heartbeat")
      let heart = try Background(
        "while sleep 0.05; do date +%s.%N >>/mnt/data/heartbeat; sync /mnt/data/heartbeat; done")
      defer { heart.end() }
      _ = try Lab.pgstill(
        "backup", "--pgdata", Lab.dataDirectory, "--repo", repository, "--freeze-deadline", "2",
        hooks: Lab.pause(at: "all-suspended", seconds: 9))
      heart.end()
      let beats = try String(contentsOfFile: "/mnt/data/heartbeat", encoding: .utf8)
        .split(separator: "\n").compactMap { Double($0) }
      let longest = zip(beats, beats.dropFirst()).map { $1 - $0 }.max() ?? 0
      #expect(longest > 1.9, "the window did not hold anybody: \(longest)")
      #expect(longest < 6, "held for \(longest) s with a deadline of 2 s")
      try Tool.demand("rm", "-f", "/mnt/data/heartbeat")
    }

    @Test func theGuardEndsTheWindowOfABrokerThatWasKilled() throws {
      try Lab.cluster()
      let repository = try Lab.newFolder("repo")
      let backup = try Background(
        "exec env PGSTILL_TEST_PAUSE_AT=all-suspended PGSTILL_TEST_PAUSE_MS=20000 "
          + "\(Lab.executable("pgstill")) backup --pgdata \(Lab.dataDirectory) --repo \(repository) --freeze-deadline 15"
      )
      defer { backup.end() }
      try waitUntil("everything is suspended") { try Lab.suspendedDevices().count >= 3 }
      try Tool.demand("pkill", "-KILL", "-f", "pgstill broker")
      try waitUntil("everything runs again") { try Lab.suspendedDevices().isEmpty }
      #expect(backup.wait() == 13)
      #expect(try Lab.sql("select 1") == "1")
      // What the dead broker has left goes with the next run.
      #expect(try Lab.snapshots().count == 3)
      let next = try Lab.pgstill("backup", "--pgdata", Lab.dataDirectory, "--repo", repository)
      #expect(next.status == 0, "\(next.talk)")
      #expect(try Lab.snapshots() == [])
    }

    @Test(arguments: ["broker and one guard", "one guard"])
    func anyOneOfThreeEndsTheWindow(killed: String) throws {
      try Lab.cluster()
      let repository = try Lab.newFolder("repo")
      let marks = try Marks()
      let backup = try Background(
        "exec env PGSTILL_TEST_MARKS=\(marks.path) PGSTILL_TEST_PAUSE_AT=all-suspended "
          + "PGSTILL_TEST_PAUSE_MS=4000 \(Lab.executable("pgstill")) backup --pgdata "
          + "\(Lab.dataDirectory) --repo \(repository) --freeze-deadline 15")
      defer { backup.end() }
      try waitUntil("everything is suspended") { try Lab.suspendedDevices().count >= 3 }
      let broker = try marks.wait(for: "all-suspended", of: "broker")
      let guards = Lab.guards(of: broker)
      #expect(guards.count == 2)
      kill(guards[0], SIGKILL)
      if killed != "one guard" { kill(broker, SIGKILL) }
      try waitUntil("everything runs again") { try Lab.suspendedDevices().isEmpty }
      // A set that lost a guard is not used, though its window went well.
      #expect(backup.wait() == 13)
      #expect(try Lab.sql("select 1") == "1")
      #expect(try Lab.pgstill("release").status == 0)
      try expectNothingLeft(repository)
    }

    /// Nobody is left who could resume: what is suspended stays so until somebody looks.
    @Test func whatNobodyIsLeftToResumeIsShownAndLetRun() throws {
      try Lab.cluster()
      let repository = try Lab.newFolder("repo")
      let victim = try KillVictim(at: "all-suspended", rest: 5, repository)
      try victim.waitInside()
      for process in Lab.guards(of: victim.broker) + [victim.broker] { kill(process, SIGKILL) }
      usleep(300_000)
      #expect(try Lab.suspendedDevices().count == 3)
      #expect(victim.wait() == 13, "\(victim.talk)")
      let status = try Lab.pgstill("status")
      for origin in ["vg0-data", "vg0-wal", "vg1-tbs"] {
        #expect(status.output.contains("SUSPENDED: /dev/mapper/\(origin)\n"), "\(status.output)")
      }
      // LVM's removal of a snapshot lets its origin run too; nothing is removed while it is open.
      let snapshots = try Lab.ownDevices().filter {
        $0.contains("_still_") && !$0.hasSuffix("-cow")
      }
      #expect(snapshots.count == 3)
      let holders = try snapshots.map { try Background("exec sleep 600 </dev/mapper/\($0)") }
      usleep(500_000)
      let first = try Lab.pgstill("release")
      let suspended = try Lab.suspendedDevices()
      holders.forEach { $0.end() }
      #expect(first.status == 15, "\(first.talk)")
      #expect(suspended == [])
      let second = try Lab.pgstill("release")
      #expect(second.status == 0, "\(second.talk)")
      #expect(try Lab.pgstill("status").output == "nothing is held\n")
      try expectNothingLeft(repository)
    }

    private func expectNothingLeft(_ repository: String) throws {
      #expect(try Lab.snapshots() == [])
      #expect(try Lab.suspendedDevices() == [])
      #expect(try Tool.demand("find", repository, "-name", "*.tar*") == "")
      #expect(try Lab.sql("select 1") == "1")
    }
  }
}
