import Foundation
import StillModel
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

/// Moves over a real ssh: to this host, as if it were another one.
@Suite(.enabled(if: ThrowAwaySSH.program != nil, "there is no sshd here; scripts/sshd says why"))
struct RemoteMigrateTests {
  private struct Scene {
    let site: MigrateSite
    let ssh: ThrowAwaySSH

    init() throws {
      site = try MigrateSite()
      ssh = try ThrowAwaySSH()
    }

    func migrate(
      _ words: [String] = [], to target: String? = nil, environment: [String: String] = [:]
    ) throws -> Tool.Outcome {
      try PgstillProgram.run(
        [
          "migrate", "--pgdata", site.cluster.dataDirectory.string, "--to",
          target ?? "\(ssh.host):\(site.target)", "--ssh", ssh.command, "--target-connection",
          "host=\(site.cluster.folder) dbname=postgres user=\(site.cluster.owner)",
          "--tablespace-mapping", "\(site.tablespace)=\(site.place.path)/space", "--wal-dir",
          "\(site.place.path)/the new wal", "--json",
        ] + words, environment: environment)
    }
  }

  @Test("Everything that was confirmed is on the new server")
  func moves() throws {
    let scene = try Scene()
    let (site, cluster) = (scene.site, scene.site.cluster)
    let load = try LedgerLoad(cluster)
    let outcome = try scene.migrate()
    #expect(outcome.status == 0, "\(outcome.talk)")
    load.wait(for: 20)
    let confirmed = load.end()
    #expect(try cluster.sql("SHOW data_directory") == site.target.string)
    let found = try cluster.sql(
      "SELECT string_agg(n::text, ',' ORDER BY n) FROM ledger WHERE n % 2 = 0")
    #expect(
      Set(confirmed.map(String.init)).isSubset(of: found.split(separator: ",").map(String.init)))
    #expect(try cluster.sql("SELECT sum(amount) FROM ledger") == "0")
    #expect(
      try Tool.demand("readlink", "\(site.target)/pg_wal") == "\(site.place.path)/the new wal\n")
    #expect(
      try cluster.sql("SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE oid > 16383")
        == "\(site.place.path)/space")
    let left = try Tool.demand("find", site.place.path.string, "-name", "pgstill*")
    #expect(left == "")
    let downtime = try #require(try document(outcome)["downtime"] as? [String: Double])
    #expect(try #require(downtime["seenByClient"]) >= downtime["copy", default: 1e9])
  }

  @Test("A new server that does not start over there: the old one is up again")
  func startFails() throws {
    let scene = try Scene()
    let outcome = try scene.migrate(["--start-command", "echo it has no wings; exit 7"])
    let failure = try scene.site.failure(outcome, 12)
    #expect(failure.message.contains("ended with status 7: it has no wings"), "\(failure)")
    try scene.site.expectBack()
  }

  @Test("A new server that starts and cannot be found is stopped before the old one is started")
  func proofFails() throws {
    let scene = try Scene()
    let site = scene.site
    let outcome = try scene.migrate([
      "--start-command",
      "\(site.cluster.programs)/pg_ctl start -w -s -D \(site.target) -l \(site.place.path)/log "
        + "&& \(site.cluster.programs)/psql -h \(site.cluster.folder) -d postgres "
        + "-qc 'DELETE FROM pgstill_migration'",
    ])
    let failure = try site.failure(outcome, 12)
    #expect(
      failure.message.contains("the row that was written right before the stop"), "\(failure)")
    try site.expectBack()
  }

  @Test("What cannot be reached, or cannot run there, is refused with the server running on")
  func refusals() throws {
    let scene = try Scene()
    let site = scene.site
    let before = try site.postmaster(of: site.cluster.dataDirectory)
    let lost = try site.failure(
      scene.migrate(to: "nowhere.invalid:\(site.target)"), 11)
    #expect(lost.message.contains("nowhere.invalid cannot be reached"))
    let none = try site.failure(scene.migrate(["--target-programs", "/usr/games"]), 11)
    #expect(none.message.contains("has no server program in /usr/games"), "\(none)")
    if let other = ThrowAwayCluster.programs(ofVersion: 17) {
      let wrong = try site.failure(scene.migrate(["--target-programs", other.string]), 11)
      #expect(wrong.message.contains("has PostgreSQL 17 in"), "\(wrong)")
    }
    let filled = try site.place.folder("filled", owner: FakeHost.owner)
    try Tool.demand("touch", "\(filled)/file")
    let full = try site.failure(scene.migrate(to: "\(scene.ssh.host):\(filled)"), 11)
    #expect(full.message.contains("is not empty: it holds file"))
    // The same path on another host is another folder; that it is this host, ssh does not say.
    let same = try site.failure(
      scene.migrate(to: "\(scene.ssh.host):\(site.cluster.dataDirectory)"), 11)
    #expect(same.message.contains("is not empty"), "\(same)")
    let twice = try site.failure(
      scene.migrate(["--wal-dir", "\(site.place.path)/space"]), 64)
    #expect(twice.message.contains("are not apart"))
    #expect(try site.postmaster(of: site.cluster.dataDirectory) == before)
    #expect(!FileManager.default.fileExists(atPath: site.target.string))
  }

  @Test("To an rsync daemon: everything is there, and starts, and the old one can be had back")
  func daemon() throws {
    let site = try MigrateSite()
    let daemon = try ThrowAwayRsyncd()
    func migrate(_ words: [String]) throws -> Tool.Outcome {
      try PgstillProgram.run(
        [
          "migrate", "--pgdata", site.cluster.dataDirectory.string, "--to",
          "\(daemon.url)/clusters/new", "--module-dir", daemon.root.string,
          "--tablespace-mapping", "\(site.tablespace)=\(daemon.root)/spaces/a b", "--json",
        ] + words)
    }
    let target = daemon.root.appending("clusters").appending("new")
    let refused = try site.failure(migrate([]), 64)
    #expect(refused.message.contains("a daemon starts no server"))
    let rehearsed = try migrate(["--keep-source-running"])
    #expect(rehearsed.status == 0, "\(rehearsed.talk)")
    #expect(!FileManager.default.fileExists(atPath: "\(target)/global/pg_control"))

    let load = try LedgerLoad(site.cluster)
    let outcome = try migrate(["--no-start"])
    #expect(outcome.status == 0, "\(outcome.talk)")
    let confirmed = load.end()
    let passes = try #require(document(outcome)["passes"] as? [[String: Any]])
    #expect(passes[0]["compared"] as? Int == passes[0]["files"] as? Int, "it went on from there")
    #expect(
      try Tool.demand("find", daemon.root.string, "-name", "pgstill*") == "", "no mark is left")
    // What a daemon cannot do, the report says.
    let next = try #require(document(outcome)["next"] as? [String])
    let links = next.filter { $0.hasPrefix("make a link over there: ln -s ") }
    #expect(links.count == 1)
    for line in links { try Tool.demand("sh", "-c", String(line.drop { $0 != ":" }.dropFirst(2))) }
    let server = try RestoredServer(target, like: site.cluster)
    let found = try server.sql(
      "SELECT string_agg(n::text, ',' ORDER BY n) FROM ledger WHERE n % 2 = 0")
    #expect(
      Set(confirmed.map(String.init)).isSubset(of: found.split(separator: ",").map(String.init)))
    #expect(try server.sql("SELECT sum(amount) FROM ledger") == "0")
    #expect(
      try server.sql("SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE oid > 16383")
        == "\(daemon.root)/spaces/a b")
    #expect(try server.sql("SELECT count(*) FROM here") == "20000")
    #expect(try site.undo().status == 0)
    #expect(try site.cluster.sql("SELECT sum(amount) FROM ledger") == "0")
  }

  @Test("Cut off in the final pass: the old server is up again")
  func cutOff() throws {
    let scene = try Scene()
    // An ssh that works as long as the old server runs, and never after.
    let wrapper = scene.site.place.path.appending("ssh-until-stop")
    let text = """
      #!/bin/sh
      [ -e \(scene.site.cluster.dataDirectory)/postmaster.pid ] || { echo gone >&2; exit 255; }
      exec \(scene.ssh.command) "$@"
      """
    try Tool.demand(
      "sh", "-c", "printf '%s\\n' \"$1\" >\(wrapper); chmod 755 \(wrapper)", "sh", text)
    let outcome = try PgstillProgram.run([
      "migrate", "--pgdata", scene.site.cluster.dataDirectory.string, "--to",
      "\(scene.ssh.host):\(scene.site.target)", "--ssh", wrapper.string, "--tablespace-mapping",
      "\(scene.site.tablespace)=\(scene.site.place.path)/space", "--no-start", "--json",
    ])
    let failure = try scene.site.failure(outcome, 14)
    #expect(failure.further.contains { $0.hasPrefix("the server runs again") }, "\(failure)")
    try scene.site.expectBack()
  }
}
