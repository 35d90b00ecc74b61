import Foundation
import StillModel
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

/// Servers that a service manager runs: a stand-in for systemd's `systemctl`, for there is no systemd
/// where tests run, and Debian's real pg_ctlcluster.
@Suite(.serialized, .enabled(if: Account.effectiveUser == 0, "needs root, as the broker does"))
struct ServiceManagerTests {
  static let unit = "postgresql@15-main.service"

  /// What a machine with systemd has, as far as pgstill looks.
  final class Manager {
    let site: StoppableSite
    let folder: FilePath
    var calls: [String] {
      get throws {
        try Tool.demand("cat", folder.appending("calls").string).split(separator: "\n")
          .map(String.init)
      }
    }

    /// - Parameters:
    ///   - start: what `systemctl start` does, beside answering that all is well.
    ///   - stop: what `systemctl stop` does; nil for what its name says.
    ///   - afterStop: what happens then.
    ///   - mainProcess: of the unit; nil for the server itself.
    ///   - killMode: of every unit.
    ///   - dependants: units that are stopped with this one, and its property that says so.
    init(
      start: String? = nil, stop: String? = nil, afterStop: String = "", mainProcess: Int32? = nil,
      killMode: String = "control-group", dependants: [String: String] = [:]
    ) throws {
      site = try StoppableSite()
      folder = try site.place.folder("systemd")
      let owner = "setpriv --reuid=\(FakeHost.owner) --regid=\(FakeHost.owner) --init-groups --"
      let main = mainProcess.map { "echo \($0)" } ?? "head -n1 \(site.dataDirectory)/postmaster.pid"
      let unit = ServiceManagerTests.unit
      let others = dependants.keys.sorted().joined(separator: " ")
      let properties = dependants.map { "echo \($0.value)=\($0.key)" }.joined(separator: "; ")
      let script = """
        #!/bin/sh
        cd /
        HERE=\(folder) DATA=\(site.dataDirectory) REPO=\(site.repository)
        state() { cat "\(folder)/state.$1" 2>/dev/null || echo inactive; }
        echo "$*" >>\(folder)/calls
        case "$*" in
        "show --property=MainPID --value \(unit)") \(main) 2>/dev/null || echo 0 ;;
        "show --property=ActiveState --value "*) state "$4" ;;
        "show --property=Job --value "*) cat $HERE/job 2>/dev/null ;;
        "show --property=KillMode --value "*) echo \(killMode) ;;
        "show --property=RequiredBy,"*" \(unit)") \(properties.isEmpty ? ":" : properties) ;;
        "show --property=RequiredBy,"*) ;;
        "stop --no-block \(unit)")
          for other in \(others); do echo inactive >\(folder)/state.$other; done
          \(stop ?? "\(owner) \(site.stop) -W")
          \(afterStop) ;;
        start*" \(unit)") \(start ?? "\(owner) \(site.start)") ;;
        start*)
          head -n1 \(site.dataDirectory)/postmaster.pid || exit 1
          for word; do case $word in *.service) echo active >\(folder)/state.$word ;; esac; done ;;
        *) echo "never heard of: $*" >&2; exit 1 ;;
        esac
        exit 0

        """
      try write("systemctl", script, mode: 0o755)
      try write("calls", "", mode: 0o666)
      for other in dependants.keys { try setState(of: other, "active") }
      try setGroup("0::/system.slice/system-postgresql.slice/\(unit)")
    }

    func setState(of unit: String, _ state: String) throws {
      try write("state.\(unit)", state + "\n", mode: 0o644)
    }

    func state(of unit: String) throws -> String {
      try Tool.demand("cat", folder.appending("state.\(unit)").string)
        .trimmingCharacters(in: .whitespacesAndNewlines)
    }

    func write(_ name: String, _ text: String, mode: UInt32) throws {
      try Tool.demand("rm", "-f", folder.appending(name).string)
      let file = try OpenFile.open(folder.appending(name), .create(permissions: mode))
      try file.writeAll(Array(text.utf8))
      try file.close()
      try Tool.demand("chmod", String(mode, radix: 8), folder.appending(name).string)
    }

    /// Puts a process into a control group; without one, every process that has none of its own.
    func setGroup(_ text: String, of process: Int32? = nil) throws {
      try write("cgroup" + (process.map { ".\($0)" } ?? ""), text + "\n", mode: 0o644)
    }

    func backUp(_ words: [String] = []) throws -> Tool.Outcome {
      try site.backUp(words, environment: ["PGSTILL_TEST_SYSTEMD": folder.string])
    }
  }

  @Test("A server that is a unit of systemd is stopped and started by the broker, by that name")
  func unit() throws {
    let manager = try Manager()
    let before = try manager.site.postmaster()
    let outcome = try manager.backUp()
    #expect(outcome.status == 0, "\(outcome.talk)")
    #expect(try manager.site.postmaster() != before)
    #expect(try manager.site.cluster.sql("SELECT count(*) FROM here") == "1000")
    let downtime = try #require(
      (try document(outcome)["backup"] as? [String: Any])?["downtime"] as? [String: Any])
    #expect(downtime["startedWith"] as? String == "systemctl start \(Self.unit)")
    let calls = try manager.calls
    #expect(calls.filter { $0.hasPrefix("stop") } == ["stop --no-block \(Self.unit)"])
    #expect(calls.filter { $0.hasPrefix("start") } == ["start --no-block \(Self.unit)"])
  }

  @Test("A start that systemd calls a success, with the server down, is noticed")
  func falseSuccess() throws {
    let manager = try Manager(start: "true")
    let failure = try manager.site.failure(try manager.backUp(), 12)
    #expect(failure.message.hasPrefix("the server could not be started again: "))
    #expect(failure.message.contains("no server came up"))
    #expect(failure.hint == "Start it by hand: systemctl start \(Self.unit)")
    // Twice by the coordinator, and twice by the broker when that had given up.
    #expect(try manager.calls.count { $0.hasPrefix("start") } == 4)
    #expect(failure.further.contains { $0.contains("published") })
  }

  @Test("The broker starts the unit when the coordinator is killed while it is stopped")
  func coordinatorKilled() throws {
    // The parent of systemctl is the broker, whose parent is the coordinator.
    let manager = try Manager(afterStop: "kill -9 $(ps -o ppid= -p $PPID)")
    let before = try manager.site.postmaster()
    let outcome = try manager.backUp()
    #expect(outcome.status == 137)
    try manager.site.waitUntilUp()
    #expect(try manager.site.postmaster() != before)
    #expect(try manager.calls.contains("start \(Self.unit)"))
    #expect(try manager.site.backups() == [])
  }

  @Test("The server comes back where the broker is killed while it is down, the coordinator too")
  func brokerKilled() throws {
    for isAlone in [true, false] {
      let manager = try Manager(
        afterStop: "kill -9 $PPID" + (isAlone ? "" : " $(ps -o ppid= -p $PPID)"))
      let before = try manager.site.postmaster()
      let outcome = try manager.backUp()
      if isAlone {
        let failure = try manager.site.failure(outcome, 13)
        #expect(failure.message == "the broker has died")
        #expect(failure.further.contains { $0.hasPrefix("the server runs again; it was down for") })
      } else {
        #expect(outcome.status == 137, "\(outcome.talk)")
      }
      try manager.site.waitUntilUp()
      #expect(try manager.site.postmaster() != before)
      #expect(try manager.calls.contains("start \(Self.unit)"))
      #expect(try manager.site.backups().allSatisfy { $0.hasPrefix(".partial-") })
    }
  }

  @Test(
    "A broker that is killed while the copy is made has its sentinel end the downtime and the copy")
  func brokerKilledWhileCopying() throws {
    let manager = try Manager(
      afterStop: """
        broker=$PPID; (until ls $REPO/main/.partial-*/base.tar.zst; do sleep 0.01; done; \
        kill -9 $broker) >/dev/null 2>&1 3>&- &
        """)
    let before = try manager.site.postmaster()
    // Slow enough for the sentinel to be there first.
    let outcome = try manager.backUp(["--rate-limit", "5M"])
    let failure = try manager.site.failure(outcome, 12)
    #expect(
      failure.message.contains("the broker has died, and its sentinel has started the server"))
    try manager.site.waitUntilUp()
    #expect(try manager.site.postmaster() != before)
    #expect(try manager.site.backups() == [])
  }

  @Test("A stop that waits in systemd's queue longer than its limit is taken back, and waited for")
  func lateStop() throws {
    let place = try TestFolder(on: .memory)
    let order = place.path.appending("start").string
    let manager = try Manager(
      start: "touch \(order)",
      stop: "echo 17 >$HERE/job; (sleep 4; [ -e \(order) ] || kill -INT $(head -n1 "
        + "$DATA/postmaster.pid); rm $HERE/job) >/dev/null 2>&1 3>&- &")
    let before = try manager.site.postmaster()
    let outcome = try manager.backUp(["--stop-timeout", "1"])
    let failure = try manager.site.failure(outcome, 12)
    #expect(failure.message == "the server did not stop within 1 s")
    #expect(outcome.talk.contains("systemd is still at work on the server's unit"))
    #expect(!FileManager.default.fileExists(atPath: manager.folder.appending("job").string))
    #expect(try manager.calls.contains("start --no-block \(Self.unit)"))
    usleep(500_000)
    #expect(try manager.site.postmaster() == before)
  }

  @Test("Units that systemd stops with the server's are started again, and named before")
  func dependants() throws {
    let manager = try Manager(dependants: [
      "app.service": "RequiredBy", "pool.service": "BoundBy", "idle.service": "ConsistsOf",
      "some.target": "RequiredBy",
    ])
    try manager.setState(of: "idle.service", "inactive")
    let plan = try manager.backUp(["--dry-run"])
    let stopping = try #require(try document(plan)["stopping"] as? [String: Any])
    #expect(stopping["dependants"] as? [String] == ["app.service", "pool.service"])
    let outcome = try manager.backUp()
    #expect(outcome.status == 0, "\(outcome.talk)")
    #expect(outcome.talk.contains("with it systemd stops app.service, pool.service"))
    #expect(try manager.state(of: "app.service") == "active")
    #expect(try manager.state(of: "pool.service") == "active")
    #expect(try manager.state(of: "idle.service") == "inactive", "nobody had it running")
  }

  @Test("Those units come back with whoever starts the server for somebody who died")
  func dependantsOfTheDead() throws {
    for victims in ["$(ps -o ppid= -p $PPID)", "$PPID $(ps -o ppid= -p $PPID)"] {
      let manager = try Manager(
        afterStop: "kill -9 \(victims)", dependants: ["app.service": "RequiredBy"])
      #expect(try manager.backUp().status == 137)
      try manager.site.waitUntilUp()
      for _ in 0..<100 where try manager.state(of: "app.service") != "active" { usleep(100_000) }
      #expect(try manager.state(of: "app.service") == "active")
    }
  }

  @Test("A server that another unit left behind is no unit of its own, and is stopped with pg_ctl")
  func leftBehind() throws {
    let manager = try Manager(mainProcess: 4711, killMode: "process")
    let before = try manager.site.postmaster()
    let outcome = try manager.backUp()
    #expect(outcome.status == 0, "\(outcome.talk)")
    #expect(try manager.site.postmaster() != before)
    #expect(try manager.calls.allSatisfy { $0.hasPrefix("show") })
  }

  @Test("A server that a user's own systemd runs is not stopped behind its back")
  func usersUnit() throws {
    let manager = try Manager()
    let server = try #require(try manager.site.postmaster())
    try manager.setGroup(
      "0::/user.slice/user-101.slice/user@101.service/app.slice/pg.service", of: server)
    try manager.setGroup("0::/init.scope")
    let failure = try manager.site.failure(try manager.backUp(), 11)
    #expect(failure.message.contains("pg.service, a unit of its owner's own systemd"))
    #expect(failure.hint.contains("--stop-command and --start-command"))
    #expect(try manager.site.postmaster() == server)
  }

  @Test("A unit whose main process is not the server is left alone")
  func foreignUnit() throws {
    let manager = try Manager(mainProcess: 4711)
    let before = try manager.site.postmaster()
    let failure = try manager.site.failure(try manager.backUp(), 11)
    #expect(failure.message.contains("runs in \(Self.unit), which is not its own unit"))
    #expect(failure.hint.contains("--stop-command"))
    #expect(try manager.calls.allSatisfy { $0.hasPrefix("show") })
    #expect(try manager.site.postmaster() == before)
  }

  @Test("A server of no unit is not started from a unit that would end it with itself")
  func pgstillInUnit() throws {
    let manager = try Manager()
    let server = try #require(try manager.site.postmaster())
    try manager.setGroup("0::/user.slice/user-101.slice/session-7.scope", of: server)
    let failure = try manager.site.failure(try manager.backUp(), 11)
    #expect(failure.message.contains("pgstill runs in the unit \(Self.unit)"))
    #expect(failure.hint.contains("KillMode=process"))
    #expect(try manager.site.postmaster() == server)
  }

  @Test("A cluster of Debian's is stopped and started with pg_ctlcluster, and its files are kept")
  func pgCtlCluster() throws {
    let name = "still\(UInt32.random(in: 0...UInt32.max))"
    let place = try TestFolder(on: .disk, owner: FakeHost.owner)
    let data = place.path.appending("data").string
    let version = try #require(
      try ThrowAwayCluster.findPrograms().removingLastComponent().lastComponent?.string)
    defer { _ = try? Tool.run(["pg_dropcluster", "--stop", version, name]) }
    try Tool.demand(
      "pg_createcluster", version, name, "-d", data, "-s", place.path.string, "-l",
      place.path.appending("log").string, "--", "-N", "--auth=trust")
    let settings = FilePath("/etc/postgresql/\(version)/\(name)/postgresql.conf")
    try Tool.demand(
      "sh", "-c", "echo \"listen_addresses = ''\" >>\(settings); echo 'fsync = off' >>\(settings)")
    try Tool.demand("pg_ctlcluster", "--skip-systemctl-redirect", version, name, "start")
    func line() throws -> String { try Tool.demand("head", "-n1", "\(data)/postmaster.pid") }
    let before = try line()

    let repository = place.path.appending("repo").string
    let outcome = try PgstillProgram.run([
      "backup", "--pgdata", data, "--repo", repository, "--consistency", "shutdown", "--json",
    ])
    #expect(outcome.status == 0, "\(outcome.talk)")
    let backup = try #require(try document(outcome)["backup"] as? [String: Any])
    let downtime = try #require(backup["downtime"] as? [String: Any])
    #expect(
      downtime["startedWith"] as? String
        == "/usr/bin/pg_ctlcluster --skip-systemctl-redirect \(version) \(name) start")
    let phases = try #require(try document(outcome)["seconds"] as? [String: Double])
    print("pg_ctlcluster: down for \(downtime["seconds"] ?? ""), phases \(phases)")
    #expect(try line() != before)
    let status = try Tool.run(["pg_ctlcluster", version, name, "status"])
    #expect(status.status == 0, "Debian's own word: \(status.output)")
    #expect(
      (backup["configuration"] as? [String])?.contains(settings.string) == true, "and its files")
  }
}
