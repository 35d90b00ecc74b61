import Foundation
import StillModel
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

/// Moves of a real cluster, by the program, with a load until the moment of the stop.
@Suite struct MigrateTests {
  @Test("What is unlike the old one afterwards is named, and only that", arguments: [false, true])
  func checkAfter(isDamaged: Bool) throws {
    let site = try MigrateSite()
    let file = site.target.pushing(
      FilePath(try site.cluster.sql("SELECT pg_relation_filepath('here')")))
    // As a disk would that lies: nothing but the content is another one.
    let damage = """
      touch -r \(file) \(site.place.path)/time
      printf X | dd of=\(file) bs=1 seek=9000 conv=notrunc status=none
      touch -r \(site.place.path)/time \(file)

      """
    let start =
      "\(site.cluster.programs)/pg_ctl -D \(site.target) -w -s -l \(site.cluster.log) start"
    let outcome = try site.migrate([
      "--check-after", "--target-start-command", (isDamaged ? damage : "") + start,
    ])
    #expect(outcome.status == (isDamaged ? 3 : 0), "\(outcome.talk)")
    #expect(try site.cluster.sql("SHOW data_directory") == site.target.string)
    let check = try #require(document(outcome)["check"] as? [String: Any])
    #expect(check["unlike"] as? [String] == (isDamaged ? [file.string] : []))
    #expect(try #require(check["files"] as? Int) > 900)
    #expect(check["failure"] == nil)
  }

  @Test("Everything that was confirmed is on the new server, and the old one stays as it was")
  func moves() throws {
    let site = try MigrateSite()
    let identifier = try site.cluster.sql("SELECT system_identifier FROM pg_control_system()")
    let load = try LedgerLoad(site.cluster)
    let outcome = try site.migrate()
    #expect(outcome.status == 0, "\(outcome.talk)")
    load.wait(for: 20)
    let confirmed = load.end()

    let cluster = site.cluster
    #expect(try cluster.sql("SHOW data_directory") == site.target.string)
    #expect(try cluster.sql("SELECT system_identifier FROM pg_control_system()") == identifier)
    let found = try cluster.sql(
      "SELECT string_agg(n::text, ',' ORDER BY n) FROM ledger WHERE n % 2 = 0")
    #expect(
      Set(confirmed.map(String.init)).isSubset(of: found.split(separator: ",").map(String.init)))
    #expect(try cluster.sql("SELECT sum(amount) FROM ledger") == "0")
    #expect(try cluster.sql("SELECT count(*) FROM volatile") == "3000", "no recovery emptied it")
    #expect(
      try cluster.sql("SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE oid > 16383")
        == "\(site.place.path)/space")
    #expect(try cluster.sql("SELECT count(*) FROM pg_class WHERE relname LIKE 'pgstill%'") == "0")
    try cluster.sql("CREATE EXTENSION amcheck")
    #expect(
      try cluster.run(
        "pg_amcheck", ["-h", cluster.folder.string, "-d", "postgres", "--heapallindexed"])
        == "")

    let report = try document(outcome)
    let passes = try #require(report["passes"] as? [[String: Any]])
    #expect(passes.count >= 3)
    #expect(
      passes.map { $0["source"] as? String }
        == Array(repeating: "live", count: passes.count - 1) + ["stopped"])
    #expect(passes[0]["compared"] as? Int == 0)
    let downtime = try #require(report["downtime"] as? [String: Double])
    #expect(try #require(downtime["seenByClient"]) >= downtime["copy", default: 1e9])

    // Nobody starts the old one by mistake, and nobody moves it once more.
    let twice = try site.failure(site.migrate(), 11)
    #expect(twice.message.contains("was moved to \(site.target)"), "\(twice)")
    let running = try site.failure(site.undo(), 11)
    #expect(running.message.contains("the new server runs on"))
    // A server that crashed has written what no checkpoint tells of.
    try cluster.sql("CREATE TABLE confirmed AS SELECT 1 AS n")
    try cluster.run("pg_ctl", ["stop", "-m", "immediate", "-w", "-s", "-D", site.target.string])
    #expect(throws: Trouble.self) { try cluster.start() }
    let refused = try site.failure(site.undo(), 11)
    #expect(refused.message.contains("the new server has been started"))
    // Where it has gone to, somebody may have started it.
    let away = site.place.path.appending("away")
    try Tool.demand("mv", site.target.string, away.string)
    let gone = try site.failure(site.undo(["--discard-new"]), 11)
    #expect(gone.message.contains("is not at \(site.target) any more"), "\(gone)")
    try Tool.demand("mv", away.string, site.target.string)
    #expect(throws: Trouble.self, "still") { try cluster.start() }
    // What an undo leaves that was killed.
    let control = "\(site.target)/global/pg_control"
    try Tool.demand("mv", control, control + ".undone")
    let second = try site.failure(site.undo(), 11)
    #expect(second.message.contains("the new server has been started"), "\(second)")
    try Tool.demand("mv", control + ".undone", control)
    // After a reboot anybody may have the number of a server that crashed.
    let lock = "\(site.target)/postmaster.pid"
    try Tool.demand("rm", "-f", lock)
    let undone = try site.undo(["--discard-new"])
    #expect(undone.status == 0, "\(undone.talk)")
    #expect(
      !FileManager.default.fileExists(atPath: "\(site.target)/global/pg_control"),
      "nobody starts the new one by mistake")
    #expect(
      FileManager.default.fileExists(atPath: "\(site.target)/global/pg_control.undone"))
    #expect(try cluster.sql("SHOW data_directory") == cluster.dataDirectory.string)
    #expect(try cluster.sql("SELECT sum(amount) FROM ledger") == "0")
  }

  @Test(
    "Every byte of the new cluster's files is the old one's",
    arguments: [[], ["--final-pass", "full"]])
  func same(_ words: [String]) throws {
    let site = try MigrateSite()
    let outcome = try site.migrate(["--no-start"] + words)
    #expect(outcome.status == 0, "\(outcome.talk)")
    #expect(try site.postmaster(of: site.target) == nil)
    let old = site.cluster.dataDirectory
    func sums(_ data: FilePath, _ space: FilePath) throws -> String {
      try Tool.demand(
        "sh", "-c",
        """
        for folder in "$1" "$1/pg_wal/" "$2"; do
          cd "$folder" && find . -path ./pg_wal -prune -o -type f ! -name 'pgstill.*' ! -name 'postmaster.opts' \
            ! -name pg_control.moved ! -name pg_control -print0 | sort -z | xargs -0 sha256sum
          find . -printf '%P %m %u %y\\n' | sed s/pg_control.moved/pg_control/ |
            grep -v -e pgstill -e opts -e '^pg_wal' | sort
        done
        """, "sh", data.string, space.string)
    }
    #expect(
      try sums(site.target, site.place.path.appending("space")) == sums(old, site.tablespace))
    #expect(
      try Tool.demand("cat", "\(site.target)/global/pg_control")
        == Tool.demand("cat", "\(old)/global/pg_control.moved"))
    #expect(try site.undo().status == 0)
  }

  @Test("A plan changes nothing")
  func dryRun() throws {
    let site = try MigrateSite()
    let outcome = try site.migrate(["--dry-run"])
    #expect(outcome.status == 0, "\(outcome.talk)")
    #expect(try document(outcome)["finalPass"] as? String == "changed")
    #expect(!FileManager.default.fileExists(atPath: site.target.string))
    try site.expectBack()
    func final(_ words: [String]) throws -> (bytes: Int, all: Int) {
      let plan = try document(site.migrate(["--dry-run"] + words))
      let forecast = try #require(plan["forecast"] as? [String: Any])
      let places = try #require(plan["places"] as? [[String: Any]])
      return (
        try #require(forecast["finalBytes"] as? Int),
        places.compactMap { $0["size"] as? Int }.reduce(0, +)
      )
    }
    let full = try final(["--final-pass", "full"])
    #expect(full.bytes == full.all)
    try site.cluster.sql(
      "CREATE TABLE fresh AS SELECT repeat('y', 500) FROM generate_series(1, 20000)", "CHECKPOINT")
    let now = try final([])
    #expect(now.bytes >= 10_000_000 && now.bytes <= now.all, "what was written just now")
  }

  @Test("A rehearsal lets the server run, and the next run goes on from what it has copied")
  func rehearsal() throws {
    let site = try MigrateSite()
    let before = try site.postmaster(of: site.cluster.dataDirectory)
    let rehearsed = try site.migrate(["--keep-source-running"])
    #expect(rehearsed.status == 0, "\(rehearsed.talk)")
    #expect(try site.postmaster(of: site.cluster.dataDirectory) == before)
    try site.expectBack()

    // One byte of a file, its size and time as they were: nothing that is there is trusted.
    let path = try site.cluster.sql("SELECT pg_relation_filepath('here')")
    try Tool.demand(
      "sh", "-c",
      """
      touch -r "$1" "$2" && printf Z | dd of="$1" bs=1 seek=70000 conv=notrunc 2>&1 && touch -r "$2" "$1"
      """, "sh", "\(site.target)/\(path)", site.place.path.appending("stamp").string)
    let outcome = try site.migrate()
    #expect(outcome.status == 0, "\(outcome.talk)")
    let passes = try #require(document(outcome)["passes"] as? [[String: Any]])
    #expect(passes[0]["compared"] as? Int == passes[0]["files"] as? Int)
    #expect(try site.cluster.sql("SHOW data_directory") == site.target.string)
    try site.cluster.run("pg_ctl", ["stop", "-w", "-s", "-D", site.target.string])
    let sums = try site.cluster.run("pg_checksums", ["--check", "-D", site.target.string])
    #expect(sums.contains("Bad checksums:  0"))
  }

  // MARK: Back, whatever fails

  @Test("A new server that does not start: the old one is up again")
  func startFails() throws {
    let site = try MigrateSite()
    let load = try LedgerLoad(site.cluster)
    let outcome = try site.migrate(["--target-start-command", "false"])
    let failure = try site.failure(outcome, 12)
    #expect(failure.message.contains("could not be started"))
    #expect(failure.further.contains { $0.hasPrefix("the server runs again; it was down for ") })
    try site.expectBack()
    load.wait(for: 20)
    let confirmed = load.end()
    #expect(
      try site.cluster.sql("SELECT count(*) FROM ledger WHERE n % 2 = 0") >= "\(confirmed.count)")
    #expect(try site.cluster.sql("SELECT sum(amount) FROM ledger") == "0")
  }

  @Test("A server of another cluster in the new place is found out, and the old one is up again")
  func wrongServer() throws {
    let site = try MigrateSite()
    let other = try ThrowAwayCluster(isStarted: false)
    let command = """
      rm -rf \(site.target)/* && cp -a \(other.dataDirectory)/. \(site.target)/ && \
      \(other.programs)/pg_ctl start -w -s -D \(site.target) -l \(site.place.path)/log \
      -o "-k \(site.cluster.folder)"
      """
    let outcome = try site.migrate(["--target-start-command", command])
    let failure = try site.failure(outcome, 12)
    #expect(failure.message.contains("serves another cluster"), "\(failure)")
    try site.waitUntilUp()
    #expect(try site.cluster.sql("SELECT count(*) FROM here") == "20000")
    #expect(try site.postmaster(of: site.target) == nil)
  }

  @Test("A downtime that is over: the old server is up again, and the next run goes on")
  func overrun() throws {
    let site = try MigrateSite()
    let pause = ["PGSTILL_TEST_PAUSE_AT": "finalPass.begin", "PGSTILL_TEST_PAUSE_MS": "1500"]
    let outcome = try site.migrate(["--max-downtime", "1"], environment: pause)
    let failure = try site.failure(outcome, 14)
    #expect(failure.message.contains("that was allowed was over"))
    try site.expectBack()
    let again = try site.migrate(
      ["--max-downtime", "1", "--on-overrun", "continue"], environment: pause)
    #expect(again.status == 0, "\(again.talk)")
    #expect(again.talk.contains("going on, as asked"))
    #expect(try site.cluster.sql("SHOW data_directory") == site.target.string)
  }

  @Test("A tablespace that is made meanwhile ends it, with the server running on")
  func newTablespace() throws {
    let site = try MigrateSite()
    // A stop that comes too late for the passes to see it.
    let late = "\(site.cluster.folder)/late"
    try Tool.demand("install", "-d", "-o", site.cluster.owner, "-m", "700", late)
    let stop = """
      \(site.cluster.programs)/psql -q -h \(site.cluster.folder) -d postgres \
      -c "CREATE TABLESPACE late LOCATION '\(late)'" && \
      \(site.cluster.programs)/pg_ctl stop -D \(site.cluster.dataDirectory) -m fast -w -s
      """
    let outcome = try site.migrate([
      "--stop-command", stop, "--start-command",
      "\(site.cluster.programs)/pg_ctl start -w -s -D \(site.cluster.dataDirectory) -l \(site.cluster.log)",
      "--no-start",
    ])
    let failure = try site.failure(outcome, 14)
    #expect(failure.message.contains("since the passes were planned"), "\(failure)")
    try site.expectBack()
  }

  @Test("A full disk in the final pass: the old server is up again")
  func fullDisk() throws {
    let site = try MigrateSite()
    // Comes between the passes and the stop: the new table is copied with the server down.
    let small = site.place.path.appending("small")
    let script = """
      mkdir "$1" && mount -t tmpfs -o size=64m,uid=$(id -u \(site.cluster.owner)) tmpfs "$1" && shift && exec "$@"
      """
    let fill = """
      \(site.cluster.programs)/pg_ctl stop -D \(site.cluster.dataDirectory) -m fast -w -s && \
      dd if=/dev/zero of=\(site.cluster.dataDirectory)/base/filler bs=1M count=80 status=none
      """
    let outcome = try PgstillProgram.run(
      [
        "migrate", "--pgdata", site.cluster.dataDirectory.string, "--to", "\(small)/new",
        "--tablespace-mapping", "\(site.tablespace)=\(small)/space", "--json", "--stop-command",
        fill, "--start-command",
        "\(site.cluster.programs)/pg_ctl start -w -s -D \(site.cluster.dataDirectory) -l \(site.cluster.log)",
        "--no-start",
      ], prefix: ["unshare", "--mount", "sh", "-c", script, "sh", small.string])
    let failure = try site.failure(outcome, 14)
    #expect(failure.further.contains { $0.contains("No space left on device") }, "\(failure)")
    try site.expectBack()
  }

  @Test(
    "Told to end, pgstill starts the old server first",
    arguments: ["pass.end", "stop.end", "finalPass.begin", "finalPass.end"])
  func terminated(_ step: String) throws {
    let site = try MigrateSite()
    let outcome = try site.ended(at: step, by: SIGTERM)
    _ = try site.failure(outcome, 143)
    try site.expectBack()
  }

  @Test(
    "Killed before everything is copied, pgstill leaves somebody who starts the old server",
    arguments: ["pass.end", "stop.end", "finalPass.begin", "finalPass.end"])
  func killed(_ step: String) throws {
    let site = try MigrateSite()
    #expect(try site.ended(at: step, by: SIGKILL).status == 137)
    try site.waitUntilUp()
    #expect(try site.cluster.sql("SHOW data_directory") == site.cluster.dataDirectory.string)
    // The note of the killed run is in nobody's way.
    let outcome = try site.migrate()
    #expect(outcome.status == 0, "\(outcome.talk)")
    #expect(try site.cluster.sql("SHOW data_directory") == site.target.string)
  }

  @Test(
    "Killed when a new server may be about to start, one command brings the old one back",
    arguments: ["moved", "armed", "taken back"])
  func killedLate(_ step: String) throws {
    let site = try MigrateSite()
    let outcome = try site.ended(
      at: step, by: SIGKILL, step == "taken back" ? ["--target-start-command", "false"] : [])
    #expect(outcome.status == 137)
    if step == "taken back" {
      // From then on the one who was left behind can start it.
      try site.waitUntilUp()
    } else {
      #expect(try site.postmaster(of: site.cluster.dataDirectory) == nil)
    }
    let line = try #require(
      outcome.talk.split(separator: "\n").first { $0.contains("this brings the old server back: ") }
    )
    #expect(line.hasSuffix("pgstill migrate --undo --pgdata \(site.cluster.dataDirectory)"))
    let undone = try site.undo()
    #expect(undone.status == 0, "\(undone.talk)")
    try site.waitUntilUp()
    #expect(try site.cluster.sql("SHOW data_directory") == site.cluster.dataDirectory.string)
    #expect(try site.cluster.sql("SELECT count(*) FROM here") == "20000")
    #expect(!FileManager.default.fileExists(atPath: "\(site.target)/global/pg_control"))
  }

  @Test("Told to end while the new server does not come up, pgstill starts the old one")
  func terminatedWhileStarting() throws {
    let site = try MigrateSite()
    let mark = site.place.path.appending("starting")
    let outcome = try site.migrate([
      "--target-start-command", "touch \(mark); kill -TERM $PPID; exec sleep 300",
    ])
    #expect(outcome.status == 143, "\(outcome.talk)")
    #expect(FileManager.default.fileExists(atPath: mark.string))
    try site.expectBack()
  }

  @Test("Two runs at once: the second one is refused, and the first one is done")
  func twoAtOnce() throws {
    let site = try MigrateSite()
    let second = Monitor<Tool.Outcome?>(nil)
    let first = try site.paused(at: "pass.end") {
      second.update { $0 = try? site.migrate(["--keep-source-running"]) }
    }
    let refused = try site.failure(try #require(second.update { $0 }), 10)
    #expect(refused.message.contains("another run is at work"))
    #expect(first.status == 0, "\(first.talk)")
    #expect(try site.cluster.sql("SHOW data_directory") == site.target.string)
  }

  @Test("Killed in a pass, pgstill leaves no rsync that goes on writing")
  func killedInAPass() throws {
    let site = try MigrateSite()
    try site.cluster.sql(
      "CREATE TABLE large AS SELECT repeat('z', 900) FROM generate_series(1, 40000)")
    let data = site.cluster.dataDirectory
    let run = try Child.start(
      PgstillProgram.path(),
      [
        "migrate", "--pgdata", data.string, "--to", site.target.string, "--tablespace-mapping",
        "\(site.tablespace)=\(site.place.path)/space", "--rate-limit", "2M", "--quiet",
      ], environment: ProcessInfo.processInfo.environment)
    func writers() throws -> String {
      try Tool.run(["sh", "-c", "pgrep -f -- '[-]-bwlimit=2048 .*\(site.target)'"]).output
    }
    for _ in 0..<600 where try writers().isEmpty { Clock.sleep(milliseconds: 50) }
    #expect(try !writers().isEmpty)
    kill(run.process, SIGKILL)
    _ = run.wait()
    for _ in 0..<100 where try !writers().isEmpty { Clock.sleep(milliseconds: 50) }
    #expect(try writers() == "")
    try site.expectBack()
  }

  @Test("What would keep the old server from coming back is found before the stop")
  func looksAgain() throws {
    let site = try MigrateSite()
    let before = try site.postmaster(of: site.cluster.dataDirectory)
    let outcome = try site.paused(at: "pass.end") {
      _ = try? Tool.demand(
        "sh", "-c", "echo \"data_directory = '\(site.target)'\" >>\"$1\"", "sh",
        "\(site.cluster.dataDirectory)/postgresql.conf")
    }
    let failure = try site.failure(outcome, 11)
    #expect(failure.message.contains("the server would"), "\(failure)")
    #expect(try site.postmaster(of: site.cluster.dataDirectory) == before)
  }

  // MARK: Refused before anything changes

  @Test("A link in the place of the server's own files is refused, wherever it is")
  func links() throws {
    let site = try MigrateSite()
    let data = site.cluster.dataDirectory
    func refusal() throws -> String { try site.failure(site.migrate(["--dry-run"]), 11).message }
    let tables = [
      "\(data)/\(try site.cluster.sql("SELECT pg_relation_filepath('here')"))",
      "\(data)/\(try site.cluster.sql("SELECT pg_relation_filepath('there')"))",
      "\(data)/pg_replslot",
    ]
    let elsewhere = "\(site.cluster.folder)/elsewhere-file"
    for path in tables {
      try Tool.demand("mv", path, elsewhere)
      try Tool.demand("ln", "-s", elsewhere, path)
      #expect(try refusal().contains("is a link"), "\(path)")
      try Tool.demand("rm", path)
      try Tool.demand("mv", elsewhere, path)
    }
    #expect(try site.migrate(["--dry-run"]).status == 0)
  }

  @Test("A role that may make no table finds out before anything is copied")
  func noTable() throws {
    let site = try MigrateSite()
    try site.cluster.sql("ALTER SYSTEM SET default_transaction_read_only = on")
    try site.cluster.sql("SELECT pg_reload_conf()")
    for _ in 0..<100 where try site.cluster.sql("SHOW default_transaction_read_only") != "on" {
      Clock.sleep(milliseconds: 50)
    }
    let failure = try site.failure(site.migrate(), 11)
    #expect(failure.message.contains("the proof of the new server needs a table"), "\(failure)")
    #expect(!FileManager.default.fileExists(atPath: site.target.string))
  }

  @Test("Below a folder that may be entered and not read, and where an earlier pass has put WAL")
  func places() throws {
    let site = try MigrateSite()
    let closed = try site.place.folder("closed")
    try Tool.demand("install", "-d", "-o", site.cluster.owner, "-m", "700", "\(closed)/inner")
    try Tool.demand("chmod", "711", closed.string)
    func migrate(_ words: [String]) throws -> Tool.Outcome {
      try PgstillProgram.run(
        [
          "migrate", "--pgdata", site.cluster.dataDirectory.string, "--to", "\(closed)/inner/new",
          "--tablespace-mapping", "\(site.tablespace)=\(closed)/inner/space", "--json",
        ] + words)
    }
    let rehearsed = try migrate(["--keep-source-running"])
    #expect(rehearsed.status == 0, "\(rehearsed.talk)")
    let before = try site.postmaster(of: site.cluster.dataDirectory)
    let refused = try site.failure(migrate(["--wal-dir", "\(closed)/inner/wal"]), 14)
    #expect(refused.message.contains("cannot be made a link to"), "\(refused)")
    #expect(try site.postmaster(of: site.cluster.dataDirectory) == before)
    let moved = try migrate(["--wal-dir", "\(closed)/inner/new/pg_wal", "--no-start"])
    #expect(moved.status == 0, "\(moved.talk)")
  }

  @Test("What cannot be done is refused, with the server running on")
  func refusals() throws {
    let site = try MigrateSite()
    let data = site.cluster.dataDirectory
    let before = try site.postmaster(of: data)
    func refusal(_ status: Int32, _ words: [String]) throws -> String {
      let outcome = try PgstillProgram.run(
        ["migrate", "--pgdata", data.string, "--json"] + words)
      return try site.failure(outcome, status).message
    }
    let mapping = ["--tablespace-mapping", "\(site.tablespace)=\(site.place.path)/space"]
    #expect(
      try refusal(11, ["--to", site.target.string]).contains("are not apart"),
      "the tablespace stays where it is")
    #expect(try refusal(11, ["--to", "\(data)/inner"] + mapping).contains("are not apart"))
    #expect(
      try refusal(
        64, ["--to", site.target.string, "--wal-dir", "\(site.place.path)/space"] + mapping
      )
      .contains("are not apart"))
    #expect(
      try refusal(64, ["--to", site.target.string, "--tablespace-mapping", "/none=/x"])
        .contains("no tablespace at /none"))
    let filled = try site.place.folder("filled")
    try Tool.demand("touch", "\(filled)/file")
    #expect(
      try refusal(11, ["--to", filled.string] + mapping).contains("is not empty: it holds file"))
    #expect(try site.postmaster(of: data) == before)
    #expect(!FileManager.default.fileExists(atPath: site.target.string))
  }
}

extension MigrateSite {
  /// Runs a migration and signals it where it rests at a step.
  fileprivate func ended(
    at step: String, by signal: Int32, _ words: [String] = []
  ) throws -> Tool.Outcome {
    try paused(at: step, words) { kill($0, signal) }
  }

  fileprivate func paused(
    at step: String, _ meanwhile: @escaping @Sendable () -> Void
  ) throws -> Tool.Outcome {
    try paused(at: step, milliseconds: 6000) { _ in meanwhile() }
  }

  /// Runs a migration, and does something where it rests at a step for the first time.
  private func paused(
    at step: String, _ words: [String] = [], milliseconds: Int = 1500,
    _ meanwhile: @escaping @Sendable (pid_t) -> Void
  ) throws -> Tool.Outcome {
    let marks = place.path.appending("marks")
    try Tool.demand("install", "-m", "666", "/dev/null", marks.string)
    let signaller = try WorkerThread {
      for _ in 0..<3000 {
        let text = (try? OpenFile.open(marks).readAll()) ?? []
        let lines = String(decoding: text, as: UTF8.self).split(separator: "\n")
        if let line = lines.first(where: { $0.hasSuffix("coordinator \(step)") }),
          let process = line.split(separator: " ").first.flatMap({ pid_t($0) })
        {
          meanwhile(process)
          return
        }
        Clock.sleep(milliseconds: 20)
      }
    }
    defer { signaller.join() }
    return try migrate(
      words,
      environment: [
        "PGSTILL_TEST_MARKS": marks.string, "PGSTILL_TEST_PAUSE_AT": step,
        "PGSTILL_TEST_PAUSE_MS": "\(milliseconds)",
      ])
  }
}
