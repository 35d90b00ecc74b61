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
    ///   - stop: what happens after `systemctl stop`.
    ///   - mainProcess: of the unit; nil for the server itself.
    init(start: String? = nil, afterStop: String = "", mainProcess: Int32? = nil) throws {
      site = try StoppableSite()
      folder = try site.place.folder("systemd")
      let owner = "setpriv --reuid=\(FakeHost.owner) --regid=\(FakeHost.owner) --init-groups --"
      let main = mainProcess.map { "echo \($0)" } ?? "head -n1 \(site.dataDirectory)/postmaster.pid"
      let script = """
        #!/bin/sh
        cd /
        echo "$*" >>\(folder)/calls
        case "$*" in
        "show --property=MainPID --value \(ServiceManagerTests.unit)")
          \(main) 2>/dev/null || echo 0 ;;
        "show --property=ActiveState --value \(ServiceManagerTests.unit)") echo inactive ;;
        "show --property=KillMode --value "*) echo control-group ;;
        "stop --no-block \(ServiceManagerTests.unit)") \(owner) \(site.stop) -W; \(afterStop) ;;
        start*"\(ServiceManagerTests.unit)") \(start ?? "\(owner) \(site.start)") ;;
        *) echo "never heard of: $*" >&2; exit 1 ;;
        esac
        exit 0

        """
      try write("systemctl", script, mode: 0o755)
      try write("calls", "", mode: 0o644)
      try setGroup("0::/system.slice/system-postgresql.slice/\(ServiceManagerTests.unit)")
    }

    func write(_ name: String, _ text: String, mode: UInt32) throws {
      let file = try OpenFile.open(folder.appending(name), .create(permissions: mode))
      try file.writeAll(Array(text.utf8))
      try file.close()
      try Tool.demand("chmod", String(mode, radix: 8), folder.appending(name).string)
    }

    /// Puts a process into a control group; without one, every process that has none of its own.
    func setGroup(_ text: String, of process: Int32? = nil) throws {
      try write("cgroup" + (process.map { ".\($0)" } ?? ""), text + "\n", mode: 0o644)
    }

    func backUp() throws -> Tool.Outcome {
      try site.backUp(environment: ["PGSTILL_TEST_SYSTEMD": folder.string])
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
    #expect(try manager.site.backups() == [])
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
