import Foundation
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

@testable import StillCommands

/// Moves that the target asks for: this host stands for both.
@Suite(.enabled(if: ThrowAwaySSH.program != nil, "there is no sshd here; scripts/sshd says why"))
struct PullTests {
  private struct Scene {
    let site: MigrateSite
    /// To the source.
    let ssh: ThrowAwaySSH
    /// The only folder for temporary files.
    let temporary: FilePath

    init() throws {
      site = try MigrateSite()
      ssh = try ThrowAwaySSH()
      temporary = try site.place.folder("temporary", owner: FakeHost.owner)
    }

    var source: String { "\(ssh.host):\(site.cluster.dataDirectory)" }

    /// Debian's sshd where `scripts/sshd` has put it, with its libraries.
    func sshd() throws -> String {
      let program = try #require(ThrowAwaySSH.program)
      return try script(
        "sshd",
        """
        export LD_LIBRARY_PATH=\(program.removingLastComponent())/lib
        exec \(program) "$@"
        """)
    }

    /// A program for anybody, which `/bin/sh` runs. - Returns: its path.
    func script(_ name: String, _ text: String) throws -> String {
      let path = site.place.path.appending(name).string
      try Tool.demand(
        "sh", "-c", "printf '#!/bin/sh\\n%s\\n' \"$1\" >\"$2\"; chmod 755 \"$2\"", "sh", text, path)
      return path
    }

    /// How this host gets to pgstill on the source.
    func way(sourceCommand: String? = nil) throws -> [String] {
      let program = try PgstillProgram.path()
      return [
        "--ssh", ssh.command, "--sshd", try sshd(), "--source-command",
        sourceCommand ?? "env TMPDIR=\(temporary) \(program)",
      ]
    }

    var places: [String] {
      [
        "--to", site.target.string, "--tablespace-mapping",
        "\(site.tablespace)=\(site.place.path)/space", "--wal-dir",
        "\(site.place.path)/the new wal",
      ]
    }

    /// Its process is the one whose number is in `pid`.
    func run(
      _ words: [String], as user: String? = FakeHost.owner
    ) throws -> Tool.Outcome {
      try PgstillProgram.run(
        ["migrate", "--json"] + words, as: user,
        environment: ["TMPDIR": temporary.string],
        prefix: ["sh", "-c", "echo $$ >\(pid); chmod 644 \(pid); exec \"$@\"", "sh"])
    }

    var pid: FilePath { site.place.path.appending("pid") }

    func pull(_ words: [String] = []) throws -> Tool.Outcome {
      try run(["--from", source] + places + way() + words)
    }

    /// The old server is stopped, and then something happens; what starts it again, too.
    func whenStopped(_ then: String) -> [String] {
      let cluster = site.cluster
      return [
        "--stop-command",
        "\(cluster.programs)/pg_ctl stop -D \(cluster.dataDirectory) -m fast -w -s && { \(then); }",
        "--start-command",
        // Its stderr stays open as long as the server lives.
        "\(cluster.programs)/pg_ctl start -w -s -D \(cluster.dataDirectory)",
        "--target-start-command",
        "\(cluster.programs)/pg_ctl start -w -s -D \(site.target) -l \(site.place.path)/log",
      ]
    }

    /// pgstill on the source may be at work when the one on the target has ended; what it has made shows its
    /// end. The limit only ends a broken test.
    ///
    /// - Parameter leaving: folders for temporary files that nobody could remove.
    func waitForSource(leaving: Int = 0) throws {
      for _ in 0..<600 {
        let left = try FileManager.default.contentsOfDirectory(atPath: temporary.string)
        let note = "\(site.cluster.dataDirectory)/pgstill.migration"
        if !FileManager.default.fileExists(atPath: note), left.count == leaving { return }
        Clock.sleep(milliseconds: 100)
      }
      throw Trouble("pgstill on the source has not ended")
    }

    func expectNothingTemporary(at location: SourceLocation = #_sourceLocation) throws {
      #expect(
        try FileManager.default.contentsOfDirectory(atPath: temporary.string) == [],
        sourceLocation: location)
    }
  }

  @Test("Everything that was confirmed is on the new server, and the way back leads through it")
  func movesAndBack() throws {
    let scene = try Scene()
    let (site, cluster) = (scene.site, scene.site.cluster)
    let load = try LedgerLoad(cluster)
    let outcome = try scene.pull()
    #expect(outcome.status == 0, "\(outcome.talk)")
    load.wait(for: 20)
    let confirmed = load.end()
    #expect(try cluster.sql("SHOW data_directory") == site.target.string)
    let found = try cluster.sql(
      "SELECT string_agg(n::text, ',' ORDER BY n) FROM ledger WHERE n % 2 = 0")
    #expect(
      Set(confirmed.map(String.init)).isSubset(of: found.split(separator: ",").map(String.init)))
    #expect(try cluster.sql("SELECT sum(amount) FROM ledger") == "0")
    let report = try document(outcome)
    let downtime = try #require(report["downtime"] as? [String: Double])
    #expect(try #require(downtime["seenByClient"]) > 0)
    #expect(outcome.talk.contains("what follows is said by pgstill on \(scene.ssh.host)"))
    try scene.expectNothingTemporary()

    // Nobody goes back by a way that is gone, and that somebody else may have made anew.
    let note = try String(
      contentsOfFile: "\(cluster.dataDirectory)/pgstill.migration", encoding: .utf8)
    #expect(!note.contains(scene.temporary.string), "\(note)")
    let alone = try refused(["migrate", "--undo", "--pgdata", cluster.dataDirectory.string], 11)
    #expect(
      alone.hint?.contains("pgstill migrate --undo --from \(scene.source)") == true, "\(alone)")
    let next = try #require(report["next"] as? [String])
    #expect(next.contains { $0.contains("pgstill migrate --undo --from \(scene.source)") })

    let back = ["--from", scene.source, "--undo"]
    let running = try site.failure(scene.run(back + scene.way()), 11)
    #expect(running.message.contains("the new server runs on"), "\(running)")
    try cluster.run("pg_ctl", ["stop", "-w", "-s", "-m", "fast", "-D", site.target.string])
    let undone = try scene.run(back + scene.way() + ["--discard-new"])
    #expect(undone.status == 0, "\(undone.talk)")
    try site.expectBack()
    try scene.expectNothingTemporary()
  }

  @Test("A host that is not the target does not get the old server started")
  func undoFromElsewhere() throws {
    let scene = try Scene()
    let site = scene.site
    // By another name than the one that this host has.
    let pushed = try PgstillProgram.run(
      [
        "migrate", "--pgdata", site.cluster.dataDirectory.string, "--to",
        "\(scene.ssh.host):\(site.target)", "--ssh", scene.ssh.command, "--json",
        "--tablespace-mapping", "\(site.tablespace)=\(site.place.path)/space",
      ])
    #expect(pushed.status == 0, "\(pushed.talk)")
    try site.cluster.run("pg_ctl", ["stop", "-w", "-s", "-m", "fast", "-D", site.target.string])
    let failure = try site.failure(
      scene.run(["--from", scene.source, "--undo", "--discard-new"] + scene.way()), 11)
    #expect(
      failure.message.contains("and it is \(FakeHost.owner)@\(Host.name) that asks"), "\(failure)")
    #expect(try site.postmaster(of: site.cluster.dataDirectory) == nil)
  }

  @Test("A plan changes nothing, and tells of both hosts")
  func plan() throws {
    let scene = try Scene()
    let outcome = try scene.pull(["--dry-run"])
    #expect(outcome.status == 0, "\(outcome.talk)")
    let target = try #require(try document(outcome)["target"] as? String)
    #expect(target == "\(FakeHost.owner)@\(Host.name):\(scene.site.target)")
    #expect(!FileManager.default.fileExists(atPath: scene.site.target.string))
    try scene.site.expectBack()
    try scene.expectNothingTemporary()
  }

  @Test(
    "A target that dies when the old server is down gets nothing, and the old server is up again")
  func targetDies() throws {
    let scene = try Scene()
    let outcome = try scene.pull(scene.whenStopped("kill -KILL $(cat \(scene.pid)); sleep 1"))
    #expect(outcome.status == 137, "\(outcome.talk)")
    // What it had of its door, which is shut; no key to it.
    try scene.waitForSource(leaving: 1)
    let left = try Tool.demand("find", scene.temporary.string, "-type", "f", "-name", "*guest")
    #expect(left == "")
    try scene.site.expectBack()
  }

  @Test("Told to end, the target has the old server started first, and says how it ended")
  func signal() throws {
    let scene = try Scene()
    let outcome = try scene.pull(scene.whenStopped("kill -INT $(cat \(scene.pid)); sleep 1"))
    _ = try scene.site.failure(outcome, 130)
    try scene.site.expectBack()
    try scene.expectNothingTemporary()
  }

  @Test("A lost connection is told, with where to look")
  func connectionDies() throws {
    let scene = try Scene()
    // The child of pgstill that leads to the source.
    let outcome = try scene.pull(
      scene.whenStopped("pkill -TERM -P $(cat \(scene.pid)) -x ssh; sleep 1"))
    let failure = try scene.site.failure(outcome, 1)
    #expect(failure.message.contains("could not be made, or was lost"), "\(failure)")
    try scene.waitForSource()
    try scene.site.expectBack()
  }

  @Test("What cannot work is refused before the source hears of it")
  func refusals() throws {
    let scene = try Scene()
    let site = scene.site
    let before = try site.postmaster(of: site.cluster.dataDirectory)
    func refusal(_ words: [String], _ status: Int32 = 11) throws -> String {
      try site.failure(scene.run(["--from", scene.source] + scene.places + words), status).message
    }
    let elsewhere = try site.failure(
      scene.run(["--from", "nowhere.invalid:/x"] + scene.places + scene.way()), 11)
    #expect(elsewhere.message.contains("nowhere.invalid cannot be reached"), "\(elsewhere)")
    let missing = try refusal(scene.way(sourceCommand: "/nowhere/pgstill"))
    #expect(missing.contains("there is no pgstill on elsewhere as /nowhere/pgstill"))
    let old = try scene.script("old", "echo 0.0.1")
    #expect(try refusal(scene.way(sourceCommand: old)).contains("is of version 0.0.1"))
    let silent = try scene.script("silent", "echo it has no keys; exit 1")
    let door = try site.failure(
      scene.run(["--from", scene.source] + scene.places + scene.way() + ["--sshd", silent]), 11)
    #expect(
      door.message.contains("does not start") && door.further == ["it has no keys"], "\(door)")
    #expect(try refusal(scene.way() + ["--sshd", "/nowhere/sshd"]).contains("/nowhere/sshd"))
    // What the source finds out itself.
    let lost = try site.failure(
      scene.run(["--from", "\(scene.ssh.host):/nowhere"] + scene.places + scene.way()), 11)
    #expect(lost.message.contains("/nowhere"), "\(lost)")
    if Account.effectiveUser == 0 {
      let root = try site.failure(
        scene.run(["--from", scene.source] + scene.places + scene.way(), as: nil), 11)
      #expect(root.message.contains("does not run as root"), "\(root)")
    }
    #expect(try site.postmaster(of: site.cluster.dataDirectory) == before)
    #expect(!FileManager.default.fileExists(atPath: site.target.string))
    try scene.expectNothingTemporary()
  }

  @Test(
    "Words that make no sense together",
    arguments: [
      ["--from", "db1:relative", "--to", "/new"], ["--from", "/folder", "--to", "/new"],
      ["--from", "rsync://db1/module", "--to", "/new"],
      ["--from", "db1:/old", "--to", "db2:/new"], ["--from", "db1:/old"],
      ["--from", "db1:/old", "--to", "/new", "--pgdata", "/old"],
      ["--from", "db1:/old", "--to", "db2:new"], ["--from", "db1:/old", "--to", ""],
      ["--from", "db1:/old", "--to", "/new", "--target-connection", "port=5433"],
      ["--from", "db1:/old", "--to", "/new", "--wal-dir", "wal"],
      ["--from", "db1:/old", "--to", "/new", "--tablespace-mapping", "/a=b"],
      ["--pgdata", "/old", "--to", "db2:/new", "--invited"],
    ])
  func usage(_ words: [String]) throws {
    let outcome = try PgstillProgram.run(["migrate", "--json"] + words)
    #expect(outcome.status == 64, "\(outcome.talk)")
  }

  @Test("The source gets the options that are meant for it, as they are")
  func options() {
    let words = [
      "--from", "db1:/old", "--json", "--to=/new", "--passes", "3", "--ssh", "ssh -p 2", "-v",
      "--sshd=/x", "--pgdata", "/y", "--stop-command", "a 'b' --to c", "--source-command", "sudo x",
      "--tablespace-mapping", "/a b=/c",
    ]
    #expect(
      PulledMigration.forwarded(words) == [
        "--json", "--passes", "3", "-v", "--stop-command", "a 'b' --to c", "--tablespace-mapping",
        "/a b=/c",
      ])
  }
}
