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
      _ words: [String] = [], to target: String? = nil, by wrapper: String? = nil,
      environment: [String: String] = [:]
    ) throws -> Tool.Outcome {
      try PgstillProgram.run(
        [
          "migrate", "--pgdata", site.cluster.dataDirectory.string, "--to",
          target ?? "\(ssh.host):\(site.target)", "--ssh", wrapper ?? ssh.command,
          "--tablespace-mapping", "\(site.tablespace)=\(site.place.path)/space", "--wal-dir",
          "\(site.place.path)/the new wal", "--json",
        ] + words, environment: environment)
    }

    /// Writes a program for anybody; it may go on with ssh.
    func program(_ path: FilePath, _ text: String) throws -> String {
      try Tool.demand(
        "sh", "-c", "printf '%s\\n' \"$1\" >\"$2\"; chmod 755 \"$2\"", "sh", text, path.string)
      return path.string
    }

    /// Goes on with ssh as long as the old server runs, and does something else from its stop on.
    func sshUntilStop(_ then: String) throws -> String {
      try program(
        site.place.path.appending("shell-until-stop"),
        """
        #!/bin/sh
        [ -e \(site.cluster.dataDirectory)/postmaster.pid ] || { \(then); }
        exec \(ssh.command) "$@"
        """)
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
    let running = try PgstillProgram.run([
      "migrate", "--undo", "--pgdata", cluster.dataDirectory.string, "--json",
    ])
    #expect(try site.failure(running, 11).message.contains("the new server runs on"))
    let downtime = try #require(try document(outcome)["downtime"] as? [String: Double])
    #expect(try #require(downtime["seenByClient"]) >= downtime["copy", default: 1e9])
  }

  @Test("A new server that does not start over there: the old one is up again")
  func startFails() throws {
    let scene = try Scene()
    let outcome = try scene.migrate(["--target-start-command", "echo it has no wings; exit 7"])
    let failure = try scene.site.failure(outcome, 12)
    #expect(failure.message.contains("ended with status 7: it has no wings"), "\(failure)")
    try scene.site.expectBack()
  }

  @Test("A new server that starts and cannot be found is stopped before the old one is started")
  func proofFails() throws {
    let scene = try Scene()
    let site = scene.site
    let outcome = try scene.migrate([
      "--target-start-command",
      "\(site.cluster.programs)/pg_ctl start -w -s -D \(site.target) -l \(site.place.path)/log "
        + "&& \(site.cluster.programs)/psql -h \(site.cluster.folder) -d postgres -qAtc "
        + "\"SELECT 'DROP TABLE ' || oid::regclass FROM pg_class WHERE relname LIKE 'pgstill%'\" | "
        + "\(site.cluster.programs)/psql -q -h \(site.cluster.folder) -d postgres",
    ])
    let failure = try site.failure(outcome, 12)
    #expect(
      failure.message.contains("what was written right before the stop"), "\(failure)")
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
    // rsync would write into a neighbour that matches.
    let pattern = try site.failure(
      scene.migrate(to: "\(scene.ssh.host):\(site.place.path)/new[1]"), 64)
    #expect(pattern.message.contains("has a [ in it"), "\(pattern)")
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

  @Test("Two places that are one folder over there are found out before anything is copied")
  func oneFolder() throws {
    let scene = try Scene()
    let place = scene.site.place.path
    try Tool.demand(
      "sh", "-c",
      """
      cd "$1" && mkdir one space && ln -s one 'the new wal' && ln -s ../one space/"$(basename "$3"/PG_*)" &&
        chown "$2" one space
      """, "sh", place.string, FakeHost.owner, scene.site.tablespace.string)
    let failure = try scene.site.failure(scene.migrate(), 11)
    #expect(failure.message.contains("is the same folder as"), "\(failure)")
    try scene.site.expectBack()
  }

  @Test("A start that stays in the foreground, in another database, with a warning of collations")
  func foreground() throws {
    let scene = try Scene()
    let site = scene.site
    // Since version 15 the server warns at every connection then.
    try site.cluster.sql("UPDATE pg_database SET datcollversion = '0' WHERE datname = 'template1'")
    let outcome = try scene.migrate(
      ["--target-start-command", "exec \(site.cluster.programs)/postgres -D \(site.target)"],
      environment: ["PGDATABASE": "template1"])
    #expect(outcome.status == 0, "\(outcome.talk)")
    #expect(try site.cluster.sql("SHOW data_directory") == site.target.string)
  }

  @Test("A host that hangs from the stop on keeps nobody waiting")
  func hangs() throws {
    let scene = try Scene()
    let outcome = try scene.migrate(
      ["--max-downtime", "2", "--no-start"], by: scene.sshUntilStop("exec sleep 1000"))
    let failure = try scene.site.failure(outcome, 14)
    #expect(failure.message.contains("that was allowed was over"), "\(failure)")
    try scene.site.expectBack()
  }

  @Test("Another host that sorts text otherwise: the plan says which indexes are wrong there")
  func otherLibraries() throws {
    let scene = try Scene()
    let cluster = scene.site.cluster
    try cluster.sql(
      "CREATE TABLE sorted (words text, bytes text COLLATE \"C\", n int)",
      "CREATE INDEX \"by words\" ON sorted (words COLLATE \"en-x-icu\")",
      "CREATE COLLATION systems (provider = libc, locale = 'C.UTF-8')",
      "CREATE INDEX by_libc ON sorted (words COLLATE systems)",
      "CREATE INDEX by_bytes ON sorted (bytes)", "CREATE INDEX by_number ON sorted (n)")
    // What the other host says of itself, and its ssh.
    func plan(
      _ facts: [String: String], _ words: [String] = ["--dry-run"]
    ) throws -> Tool.Outcome {
      let folder = try scene.site.place.folder("facts-\(facts.keys.joined())-\(words.count)")
      for (program, says) in facts {
        _ = try scene.program(folder.appending(program), "#!/bin/sh\necho '\(says)'")
      }
      let ssh = try scene.program(
        folder.appending("ssh"),
        """
        #!/bin/bash
        case "${@: -1}" in /bin/sh*) set -- "${@:1:$#-1}" "PATH=\(folder):\\$PATH ${@: -1}" ;; esac
        exec \(scene.ssh.command) "$@"
        """)
      return try scene.migrate(words, by: ssh)
    }
    func rebuild(_ outcome: Tool.Outcome) throws -> [String] {
      #expect(outcome.status == 0, "\(outcome.talk)")
      let parts = try #require(document(outcome)["rebuild"] as? [[String: Any]])
      return try parts.filter { $0["database"] as? String == "postgres" }.flatMap {
        try #require($0["indexes"] as? [String])
      }
    }
    #expect(try rebuild(plan([:])) == [])
    #expect(try rebuild(plan(["getconf": "glibc 2.28"])) == ["public.by_libc"])
    #expect(
      try rebuild(plan(["ldd": "libicui18n.so.63 => /usr/lib/libicui18n.so.63"]))
        == ["public.\"by words\""])
    let wrong = try scene.site.failure(plan(["getconf": "glibc 2.17"], []), 11)
    #expect(wrong.message.contains("would be wrong on elsewhere"), "\(wrong)")
    try cluster.sql("CREATE DATABASE located TEMPLATE template0 LOCALE 'C.UTF-8'")
    let none = try scene.site.failure(plan(["locale": "C POSIX"]), 11)
    #expect(none.message.contains("has no locale C.UTF-8, which the database located"), "\(none)")
    // What tells that somebody listens, and that it is not this host.
    let taken = try scene.site.failure(plan(["awk": "00000000:1538", "tail": "another boot"]), 11)
    #expect(taken.message.contains("somebody listens on port"), "\(taken)")
    #expect(try plan(["awk": "00000000:1538"]).status == 0, "of this host it is the old server")
    let other = try scene.site.failure(plan(["uname": "aarch64"], ["--no-start"]), 11)
    #expect(other.message.contains("elsewhere is aarch64, and this host"), "\(other)")
  }

  @Test(
    "A server that would not take the cluster's files, or lacks a library, is found out beforehand")
  func trial() throws {
    let scene = try Scene()
    let site = scene.site
    let here = try site.postmaster(of: site.cluster.dataDirectory)
    // The server's own words: built for pages of another size, it says the same of this cluster.
    let programs = try site.place.folder("programs")
    try Tool.demand(
      "sh", "-c", "ln -s \"$1\"/* \"$2\"/ && rm \"$2/postgres\"", "sh",
      site.cluster.programs.string, programs.string)
    _ = try scene.program(
      programs.appending("postgres"),
      """
      #!/bin/sh
      case " $* " in
      *" -C "*)
        echo 'FATAL:  database files are incompatible with server' >&2
        echo 'DETAIL:  The database cluster was initialized with BLCKSZ 8192, but the server was compiled with BLCKSZ 16384.' >&2
        exit 1 ;;
      esac
      exec \(site.cluster.programs)/postgres "$@"
      """)
    let pages = try site.failure(scene.migrate(["--target-programs", programs.string]), 11)
    #expect(pages.message.contains("does not take the cluster's files"), "\(pages)")
    #expect(pages.further.contains { $0.contains("compiled with BLCKSZ 16384") }, "\(pages)")
    #expect(try site.postmaster(of: site.cluster.dataDirectory) == here)

    // A library that this host has, and the other one not.
    let library = try site.place.folder("library").appending("auto_explain.so")
    try Tool.demand(
      "cp", "\(site.cluster.programs)/../lib/auto_explain.so", library.string)
    try site.cluster.run(
      "pg_ctl",
      [
        "restart", "-w", "-s", "-D", site.cluster.dataDirectory.string, "-l",
        site.cluster.log.string,
        "-o", "-c shared_preload_libraries=\(library)",
      ])
    try Tool.demand("mv", library.string, "\(library)-away")
    let lacking = try site.failure(scene.migrate(), 11)
    #expect(lacking.message.contains("lacks a library"), "\(lacking)")
    #expect(lacking.further.contains { $0.contains("could not access file") }, "\(lacking)")
    try Tool.demand("mv", "\(library)-away", library.string)
    #expect(try scene.migrate(["--dry-run"]).status == 0)
  }

  @Test("Who else is connected is told")
  func others() throws {
    let scene = try Scene()
    let cluster = scene.site.cluster
    let other = try cluster.session()
    defer { other.close() }
    try cluster.sql("SELECT pg_create_physical_replication_slot('standby', true)")
    let outcome = try scene.migrate(["--dry-run"])
    let advice = try #require(try document(outcome)["advice"] as? [String])
    #expect(advice.contains { $0.hasPrefix("1 other client is connected") }, "\(advice)")
    #expect(advice.contains("replication slots move, too: standby"), "\(advice)")
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
    let mode = try Tool.demand("stat", "-c", "%a", daemon.root.string)
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
    #expect(try Tool.demand("stat", "-c", "%a", daemon.root.string) == mode)
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
    #expect(
      try site.failure(site.undo(), 11).message.contains("nobody can say from here"))
    #expect(try site.undo(["--target-is-down"]).status == 0)
    #expect(try site.cluster.sql("SELECT sum(amount) FROM ledger") == "0")
  }

  @Test("Cut off in the final pass: the old server is up again")
  func cutOff() throws {
    let scene = try Scene()
    let outcome = try scene.migrate(
      ["--no-start"], by: scene.sshUntilStop("echo gone >&2; exit 255"))
    let failure = try scene.site.failure(outcome, 14)
    #expect(failure.further.contains { $0.hasPrefix("the server runs again") }, "\(failure)")
    try scene.site.expectBack()
  }
}
