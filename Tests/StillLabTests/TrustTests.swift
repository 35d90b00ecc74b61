import Foundation
import StillModel
import StillSystem
import StillTestSupport
import StillVolumes
import SystemPackage
import Testing

extension LabTests {
  /// Whom the broker lets freeze what, and what several runs do to each other.
  @Suite(.serialized)
  struct TrustTests {
    private let data = VolumeName(group: "vg0", volume: "data")
    private let tbs = VolumeName(group: "vg1", volume: "tbs")

    @Test(arguments: [
      // Whose the folder is, and whom the broker serves.
      ("root", "root"), ("root", "postgres"), ("nobody", "postgres"), ("postgres", nil),
    ])
    func aVolumeWithoutAFolderOfOnesOwnIsNotFrozen(_ owner: String, _ served: String?) throws {
      try Lab.cluster()
      let path = "/mnt/data/strange"
      try Tool.demand("install", "-d", "-o", owner, "-m", "755", path)
      defer { _ = try? Tool.run(["rmdir", path]) }
      let user = try served.map { try Tool.demand("id", "-u", $0) }
      let broker = try BrokerClient.start(
        program: Lab.programPath,
        owner: user.flatMap { UInt32($0.trimmingCharacters(in: .whitespacesAndNewlines)) })
      defer { broker.end() }
      let failure = #expect(throws: StillError.self) {
        try broker.prepare(run(), [request(data)], folders: [OpenFolder.open(FilePath(path))])
      }
      #expect(failure?.status == .precondition)
      #expect(failure?.message == "volume vg0/data holds no folder of yours")
      #expect(try Lab.snapshots() == [])
    }

    /// A timer's ionice, a shell's ulimit: what has suspended disks must not wait for its turn or end.
    @Test func whatIsPutOnTheCallerIsNotPutOnTheBroker() throws {
      let marks = try Marks()
      let pgstill = Lab.executable("pgstill")
      let status = try Tool.run([
        "env", "PGSTILL_TEST_MARKS=\(marks.path)", "PGSTILL_TEST_PAUSE_AT=started",
        "PGSTILL_TEST_PAUSE_MS=3000", "bash", "-c",
        """
        ulimit -S -t 1000 -f 1000
        nice -n 15 ionice -c 3 \(pgstill) status &
        until broker=$(sed -n 's/ broker started//p' \(marks.path)) && [ -n "$broker" ]; do sleep 0.1; done
        ionice -p $broker
        ps -o ni= -p $broker
        grep -E '^Max (cpu time|file size)' /proc/$broker/limits
        grep SigIgn /proc/$broker/status
        wait
        """,
      ])
      let lines = status.output.split(separator: "\n").map(String.init)
      #expect(lines.count >= 5, "\(status.output) \(status.talk)")
      #expect(lines[0] == "best-effort: prio 4")
      #expect(lines[1].trimmingCharacters(in: .whitespaces) == "0")
      for limit in lines[2...3] {
        #expect(limit.contains("unlimited            unlimited"), "\(limit)")
      }
      let ignored = try #require(
        lines[4].split(separator: "\t").last.flatMap { UInt64($0, radix: 16) })
      for number in [SIGXCPU, SIGXFSZ, SIGUSR1, SIGUSR2, SIGALRM, SIGTSTP, SIGTTIN, SIGTTOU] {
        #expect(ignored & (1 << UInt64(number - 1)) != 0, "signal \(number)")
      }
    }

    @Test func aSecondRunOnTheSameOriginIsRefusedAndNamesTheFirst() throws {
      let (first, second) = (try broker(), try broker())
      defer { [first, second].forEach { $0.end() } }
      let id = run()
      _ = try first.prepare(id, [request(data)], folders: [folder(data)])
      let failure = #expect(throws: StillError.self) {
        try second.prepare(
          run(), [request(tbs), request(data)], folders: [folder(tbs), folder(data)])
      }
      #expect(failure?.status == .busy)
      #expect(failure?.message == "run \(id) is at work on volume vg0/data")
      // On another origin it may be at work meanwhile, and neither disturbs the other.
      _ = try second.prepare(run(), [request(tbs)], folders: [folder(tbs)])
      _ = try first.freeze(deadline: 5)
      _ = try second.freeze(deadline: 5)
      #expect(try first.fill().map(\.state) == [.valid])
      #expect(try first.release().left == [])
      #expect(try second.fill().map(\.state) == [.valid])
      #expect(try second.release().left == [])
      #expect(try Lab.snapshots() == [])
    }

    @Test func runsThatBeginWhileOthersSweepAreLeftAlone() throws {
      try Lab.cluster()
      let sweeper = try Background(
        "while :; do \(Lab.executable("pgstill")) release; done")
      defer { sweeper.end() }
      for _ in 1...4 {
        let broker = try broker()
        defer { broker.end() }
        let made = try broker.prepare(
          run(), [request(data), request(tbs)], folders: [folder(data), folder(tbs)])
        _ = try broker.freeze(deadline: 5)
        try broker.open().forEach { $0.close() }
        let report = try broker.release()
        #expect(Set(report.removed) == Set(made.map(\.snapshot)))
        #expect(report.left == [])
      }
      sweeper.end()
      #expect(try Lab.snapshots() == [])
    }

    @Test func nobodyElseMonitorsOurSnapshots() throws {
      try Lab.cluster()
      let configuration = "/etc/lvm/lvm.conf"
      try Tool.demand("cp", configuration, "/run/lvm.conf.before")
      defer { _ = try? Tool.run(["cp", "/run/lvm.conf.before", configuration]) }
      try Tool.demand("sed", "-i", "-E", "s/^\\tmonitoring = 0/\\tmonitoring = 1/", configuration)
      #expect(try Tool.demand("lvmconfig", "activation/monitoring") == "monitoring=1\n")
      // So does everybody's own.
      try Tool.demand("lvcreate", "-qq", "-y", "-s", "-L", "32M", "-n", "control", "vg1/tbs")
      let control = try monitored("vg1/control")
      let broker = try broker()
      defer { broker.end() }
      let made = try broker.prepare(run(), [request(data)], folders: [folder(data)])
      let prepared = try monitored("\(made[0].snapshot)")
      _ = try broker.freeze(deadline: 5)
      let frozen = try monitored("\(made[0].snapshot)")
      _ = try broker.extend(data, to: 96 << 20)
      let extended = try monitored("\(made[0].snapshot)")
      #expect(try broker.release().left == [])
      try Tool.demand("lvremove", "-qq", "-y", "vg1/control")
      _ = try Tool.run(["pkill", "dmeventd"])
      #expect(control == "monitored")
      #expect([prepared, frozen, extended].allSatisfy { $0 != "monitored" })
    }

    @Test func aKernelWithoutTheSnapshotTargetIsToldBeforehand() throws {
      try Lab.cluster()
      let module = try Tool.demand("find", "/usr/lib/uml/modules", "-name", "dm-snapshot.ko")
      try Tool.demand("rmmod", "dm_snapshot")
      let broker = try broker()
      defer { broker.end() }
      let facts = Result { try broker.survey([data])[0] }
      try Tool.demand("insmod", module.trimmingCharacters(in: .whitespacesAndNewlines))
      #expect(try facts.get().obstacle == "the kernel has no snapshot target")
      #expect(try broker.survey([data])[0].obstacle == nil)
    }

    private func monitored(_ volume: String) throws -> String {
      try Tool.demand("lvs", "--noheadings", "-o", "seg_monitor", volume)
        .trimmingCharacters(in: .whitespacesAndNewlines)
    }

    private func broker() throws -> BrokerClient {
      try Lab.cluster()
      return try BrokerClient.start(program: Lab.programPath, owner: try Lab.postgresUser())
    }

    private func run() -> RunID { RunID(at: Clock.now()) }

    private func request(_ volume: VolumeName) -> SnapshotRequest {
      SnapshotRequest(origin: volume, size: 64 << 20)
    }

    private func folder(_ volume: VolumeName) throws -> OpenFolder {
      try OpenFolder.open(Lab.folder(on: volume))
    }
  }
}
