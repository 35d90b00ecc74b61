import Foundation
import StillModel
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

/// Backups that stop the server, with a real one that no volume carries.
@Suite(.serialized) struct ShutdownTests {
  @Test("The server is stopped, copied, and comes back as it was; the copy starts without recovery")
  func pgCtl() throws {
    let site = try StoppableSite()
    let before = try #require(try site.postmaster())
    let outcome = try site.backUp(environment: ["TZ": "Asia/Tokyo"])
    #expect(outcome.status == 0, "\(outcome.talk)")

    let after = try #require(try site.postmaster())
    #expect(before != after)
    #expect(try site.cluster.sql("SELECT count(*) FROM here") == "1000")
    let old = RunningProcess(after)
    #expect(try old.arguments().contains(site.dataDirectory))
    #expect(try old.environment()["TZ"] == "UTC", "its own environment, not that of pgstill")
    #expect(try old.target(ofDescriptor: 1) == site.cluster.log.string, "its own log")

    // It is said before it begins.
    let note = try #require(outcome.talk.range(of: "note: the server is stopped until everything"))
    let stop = try #require(outcome.talk.range(of: "\nstop: "))
    #expect(note.lowerBound < stop.lowerBound)

    let backup = try #require(try document(outcome)["backup"] as? [String: Any])
    #expect(backup["consistency"] as? String == "shutdown")
    let downtime = try #require(backup["downtime"] as? [String: Any])
    let seconds = try #require(downtime["seconds"] as? Double)
    let phases = try #require(try document(outcome)["seconds"] as? [String: Double])
    #expect(seconds >= phases["stop", default: 1e9] + phases["copy", default: 1e9])
    #expect((downtime["stoppedWith"] as? String)?.contains("pg_ctl stop -D") == true)

    let target = site.place.path.appending("restored")
    let restore = try PgstillProgram.run([
      "restore", "latest", "--repo", site.repository, "--target", target.string,
    ])
    #expect(restore.status == 0, "\(restore.talk)")
    try Tool.demand(
      "\(site.cluster.programs)/pg_verifybackup", "-m",
      "\(site.repository)/main/latest/backup_manifest", target.string)
    let server = try RestoredServer(target, like: site.cluster)
    #expect(try server.sql("SELECT count(*) FROM here") == "1000")
    #expect(try server.sql("SELECT count(*) FROM volatile") == "3000", "no recovery emptied it")
    let log = try Tool.demand("cat", server.log.string)
    #expect(log.contains("database system was shut down at"))
    #expect(!log.contains("interrupted") && !log.contains("redo"))
  }

  @Test("The command line of the server is kept, word for word")
  func commandLine() throws {
    let site = try StoppableSite()
    try site.cluster.stop()
    try site.cluster.run(
      "pg_ctl",
      [
        "start", "-w", "-s", "-D", site.dataDirectory, "-l", site.cluster.log.string, "-o",
        "-c work_mem=5MB -c \"application_name=it's a \\$HOME\"",
      ])
    let before = try RunningProcess(#require(try site.postmaster())).arguments()
    #expect(before.contains("application_name=it's a $HOME"))
    #expect(try site.backUp().status == 0)
    #expect(try RunningProcess(#require(try site.postmaster())).arguments() == before)
    #expect(try site.cluster.sql("SHOW work_mem") == "5MB")
  }

  @Test("A server whose log collector has its output comes back to it")
  func logCollector() throws {
    let site = try StoppableSite(settings: ["logging_collector": "on", "log_directory": "log"])
    #expect(try site.cluster.sql("SHOW logging_collector") == "on")
    let before = try site.postmaster()
    let outcome = try site.backUp()
    #expect(outcome.status == 0, "\(outcome.talk)")
    let after = try #require(try site.postmaster())
    #expect(after != before)
    #expect(try RunningProcess(after).target(ofDescriptor: 1).hasPrefix("pipe:"))
    // A setting that is right by itself, and no server starts with.
    try site.cluster.append(["unix_socket_directories": "'/nowhere'"])
    let failure = try site.failure(try site.backUp(), 12)
    let log = site.dataDirectory + "/log/startup.log"
    #expect(failure.further.contains { $0.hasPrefix(log) })
  }

  @Test("A server whose output goes somewhere else is not stopped without a start command")
  func outputElsewhere() throws {
    let site = try StoppableSite()
    try site.cluster.stop()
    // Nobody could connect its output to that pipe again.
    try site.cluster.runAsOwner(
      "/bin/sh",
      [
        "-c", "$0 start -w -s -D $1 2>&1 | cat >/dev/null &",
        "\(site.cluster.programs)/pg_ctl", site.dataDirectory,
      ])
    try site.waitUntilUp()
    let before = try site.postmaster()
    let failure = try site.failure(try site.backUp(), 11)
    #expect(failure.message.contains("output goes neither to a file nor to its log collector"))
    #expect(failure.hint.contains("--start-command"))
    #expect(try site.postmaster() == before)
    #expect(try site.backUp(stop: site.stop).status == 0)
  }

  @Test("A plan and a check say how the server is stopped, how it is started, and for how long")
  func saidBefore() throws {
    let site = try StoppableSite()
    let before = try site.postmaster()
    let plan = try site.backUp(["--dry-run"])
    let stopping = try #require(try document(plan)["stopping"] as? [String: Any])
    #expect(stopping["isDownWhileCopying"] as? Bool == true)
    let spoken = try PgstillProgram.run([
      "check", "--pgdata", site.dataDirectory, "--repo", site.repository, "--consistency",
      "shutdown", "--stop-command", "halt it", "--start-command", "run it",
    ])
    #expect(spoken.status == 0, "\(spoken.talk)")
    #expect(
      spoken.output.contains("ok  downtime: the server is stopped until everything is copied"))
    #expect(spoken.output.contains("stopped with: halt it; started with: run it"))
    #expect(try site.postmaster() == before)
    let half = try site.backUp(["--stop-command", "true"])
    #expect(half.status == 64)
  }

  @Test("A repository without room for the copy is found while the server runs, with the numbers")
  func noRoom() throws {
    let site = try StoppableSite()
    let before = try site.postmaster()
    try Tool.demand("mkdir", site.repository)
    // Seen by this one process only.
    let mount = "mount -t tmpfs -o size=2m,mode=777 none \(site.repository) && exec \"$@\""
    let failure = try site.failure(
      try site.backUp(prefix: ["unshare", "-m", "sh", "-c", mount, "sh"]), 11)
    #expect(failure.message.contains("room for 2.0 MiB"), "\(failure)")
    #expect(failure.message.contains("MiB are to be copied"))
    let mirror = try site.failure(
      try site.backUp(["--format", "mirror"], prefix: ["unshare", "-m", "sh", "-c", mount, "sh"]),
      11)
    #expect(mirror.message.contains(" in a mirror, and the repository"), "\(mirror)")
    #expect(try site.postmaster() == before)
  }

  // MARK: What goes wrong with the stop

  @Test("A stop command that fails leaves the server running, and says so")
  func stopFails() throws {
    let site = try StoppableSite()
    let before = try site.postmaster()
    let outcome = try site.backUp(stop: "echo no >&2; exit 3")
    let failure = try site.failure(outcome, 12)
    #expect(failure.message.contains("ended with status 3"))
    #expect(failure.further == ["the server runs, it never went down"])
    #expect(outcome.talk.contains("no\n"))
    #expect(try site.postmaster() == before)
    #expect(try site.backups() == [])
  }

  @Test("A stop command that does not end in time is ended, and cannot stop the server later")
  func stopHangs() throws {
    let site = try StoppableSite()
    let before = try site.postmaster()
    let note = site.place.path.appending("pid").string
    let outcome = try site.backUp(
      ["--stop-timeout", "1"], stop: "echo $$ >\(note); sleep 600; \(site.stop)")
    let failure = try site.failure(outcome, 12)
    #expect(failure.message == "the server did not stop within 1 s")
    #expect(try site.postmaster() == before)
    #expect(try site.cluster.sql("SELECT 1") == "1")
    let command = try Tool.demand("cat", note).trimmingCharacters(in: .whitespacesAndNewlines)
    #expect(!FileManager.default.fileExists(atPath: "/proc/\(command)"))
    #expect(try site.backups() == [])
  }

  @Test("A server that stops too late is not killed, but waited for and started again")
  func stopsLate() throws {
    let site = try StoppableSite()
    let before = try site.postmaster()
    // A smart shutdown waits for this client.
    let client = "\(site.cluster.programs)/psql -h \(site.cluster.folder) -c 'SELECT pg_sleep(4)'"
    let outcome = try site.backUp(
      ["--stop-timeout", "1"],
      stop: """
        \(client) postgres >/dev/null & sleep 0.5
        \(site.cluster.programs)/pg_ctl stop -D \(site.dataDirectory) -m smart -W -s
        """)
    let failure = try site.failure(outcome, 12)
    #expect(failure.message == "the server did not stop within 1 s")
    #expect(outcome.talk.contains("note: the server is still stopping"))
    #expect(failure.further.first?.hasPrefix("the server runs again; it was down for ") == true)
    #expect(try site.postmaster() != before)
    #expect(try site.cluster.sql("SELECT 1") == "1")
    let log = try Tool.demand("cat", site.cluster.log.string)
    #expect(log.contains("received smart shutdown request"))
    #expect(!log.contains("was not properly shut down"), "nobody killed it")
    #expect(try site.backups() == [])
  }

  @Test("A stop that comes later than its limit from somebody else is taken back by the start")
  func stopsBehindOurBack() throws {
    let site = try StoppableSite()
    let order = site.place.path.appending("order").string
    let done = site.place.path.appending("done").string
    // A cluster manager that carries out the last order that it got.
    let manager = "(sleep 3; grep -q stop \(order) && \(site.stop); touch \(done))"
    let outcome = try site.backUp(
      ["--stop-timeout", "1"],
      stop: "echo stop >\(order); \(manager) >/dev/null 2>&1 3>&- &",
      start: "echo start >\(order); \(site.start) || true")
    #expect(try site.failure(outcome, 12).message == "the server did not stop within 1 s")
    while !FileManager.default.fileExists(atPath: done) { usleep(50_000) }
    #expect(try site.cluster.sql("SELECT 1") == "1")
  }

  @Test("A server that was killed instead of shut down is not copied, but started again")
  func killed() throws {
    let site = try StoppableSite()
    let outcome = try site.backUp(
      stop: "\(site.cluster.programs)/pg_ctl stop -D \(site.dataDirectory) -m immediate -w -s")
    let failure = try site.failure(outcome, 12)
    #expect(failure.message.contains("the server was not shut down in order"))
    #expect(failure.message.contains("in production"))
    #expect(try site.cluster.sql("SELECT count(*) FROM here") == "1000")
    #expect(try site.backups() == [])
  }

  @Test("A server that somebody else starts right after its stop is not copied")
  func startedByOthers() throws {
    let site = try StoppableSite()
    let outcome = try site.backUp(stop: "\(site.stop); \(site.start)")
    let failure = try site.failure(outcome, 12)
    #expect(failure.message.contains("somebody started the server again right after"))
    #expect(try site.cluster.sql("SELECT 1") == "1")
    #expect(try site.backups() == [])
  }

  // MARK: What goes wrong with the start

  @Test("A start that fails once is tried again")
  func startFailsOnce() throws {
    let site = try StoppableSite()
    let mark = site.place.path.appending("tried").string
    let outcome = try site.backUp(
      start: "[ -e \(mark) ] || { touch \(mark); exit 7; }; \(site.start)")
    #expect(outcome.status == 0, "\(outcome.talk)")
    #expect(outcome.talk.contains("ended with status 7; trying once more"))
    #expect(try site.cluster.sql("SELECT 1") == "1")
    #expect(try site.backups().count == 2, "the backup and the link")
  }

  @Test(
    "A start that fails for good ends with the reason, the server's log and the command to type",
    arguments: ["exit 7", "true"])
  func startFails(_ command: String) throws {
    let site = try StoppableSite()
    let outcome = try site.backUp(start: command)
    let failure = try site.failure(outcome, 12)
    #expect(failure.message.hasPrefix("the server could not be started again: "))
    #expect(failure.hint == "Start it by hand: \(command)")
    #expect(failure.further.contains { $0.hasPrefix(site.cluster.log.string) })
    #expect(try site.postmaster() == nil)
  }

  @Test("A start that fails after the copy is told, and the copy is kept: somebody may need it")
  func startFailsAfterCopy() throws {
    let site = try StoppableSite()
    let failure = try site.failure(try site.backUp(start: "exit 7"), 12)
    let backups = try site.backups().filter { $0 != "latest" }
    #expect(backups.count == 1)
    let published = "\(site.repository)/main/\(backups.first ?? "?")"
    #expect(failure.further.contains { $0.contains("published") && $0.contains(published) })
    let verify = try PgstillProgram.run(["verify", "latest", "--repo", site.repository])
    #expect(verify.status == 0, "\(verify.talk)")
  }

  // MARK: The start is rehearsed

  @Test("A configuration that keeps the server from starting is found while it runs")
  func brokenConfiguration() throws {
    let site = try StoppableSite()
    let before = try site.postmaster()
    try site.cluster.append(["no_such_setting": "1"])
    for words in [["--dry-run"], []] {
      let failure = try site.failure(try site.backUp(words), 11)
      #expect(failure.message.contains("no_such_setting"))
    }
    #expect(try site.failure(try site.backUp(start: site.start), 11).message.contains("no_such"))
    #expect(try site.postmaster() == before)
    #expect(try site.backups() == [])
  }

  @Test("A log that the server's owner cannot open is found while the server runs")
  func closedLog() throws {
    let site = try StoppableSite()
    let before = try site.postmaster()
    try Tool.demand("chown", "root", site.cluster.log.string)
    try Tool.demand("chmod", "600", site.cluster.log.string)
    let failure = try site.failure(try site.backUp(), 11)
    #expect(failure.message.contains(site.cluster.log.string))
    #expect(failure.message.contains("Permission denied"))
    #expect(try site.postmaster() == before)
  }

  @Test("A log that was removed under the server is made anew")
  func removedLog() throws {
    let site = try StoppableSite()
    try Tool.demand("rm", site.cluster.log.string)
    let outcome = try site.backUp()
    #expect(outcome.status == 0, "\(outcome.talk)")
    let server = RunningProcess(try #require(try site.postmaster()))
    #expect(try server.target(ofDescriptor: 1) == site.cluster.log.string)
  }

  @Test("A server that found its folder of configuration by PGDATA finds it again")
  func folderByEnvironment() throws {
    let site = try StoppableSite()
    try site.cluster.stop()
    let folder = site.cluster.folder.appending("etc").string
    try site.cluster.runAsOwner(
      "/bin/sh",
      [
        "-ec",
        """
        mkdir $1; mv $2/postgresql.conf $2/pg_hba.conf $2/pg_ident.conf $1/
        echo "data_directory = '$2'" >>$1/postgresql.conf
        cd /; PGDATA=$1 exec $0/pg_ctl start -w -s -l $3
        """, site.cluster.programs.string, folder, site.dataDirectory, site.cluster.log.string,
      ])
    let outcome = try site.backUp()
    #expect(outcome.status == 0, "\(outcome.talk)")
    #expect(try site.cluster.sql("SHOW config_file") == folder + "/postgresql.conf")
  }

  @Test(
    "What makes the process of pgstill less than the server's is not handed on to the server",
    arguments: [
      ["nice", "-n", "5"], ["ionice", "-c", "3"], ["taskset", "-c", "0"],
      ["prlimit", "--nofile=512:512"], ["choom", "-n", "500", "--"],
    ])
  func lesserProcess(_ prefix: [String]) throws {
    let site = try StoppableSite()
    let before = try site.postmaster()
    let failure = try site.failure(try site.backUp(prefix: prefix), 11)
    #expect(failure.message.contains("would come back with less"))
    #expect(failure.hint.contains("--start-command"))
    #expect(try site.postmaster() == before)
  }

  // MARK: Never left down

  @Test("Killed between stop and start, pgstill leaves somebody who starts the server")
  func killedWhileDown() throws {
    let site = try StoppableSite()
    let before = try site.postmaster()
    let outcome = try site.backUp(stop: "\(site.stop); kill -9 $PPID; sleep 1")
    #expect(outcome.status == 137)
    try site.waitUntilUp()
    #expect(try site.postmaster() != before)
    #expect(try site.backups() == [])
  }

  @Test("Killed while the stop is under way, too: the server is started after it has stopped")
  func killedWhileStopping() throws {
    let site = try StoppableSite()
    let before = try site.postmaster()
    let mark = site.place.path.appending("stopped").string
    let outcome = try site.backUp(stop: "kill -9 $PPID; sleep 2; \(site.stop); touch \(mark)")
    #expect(outcome.status == 137)
    while !FileManager.default.fileExists(atPath: mark) { usleep(50_000) }
    try site.waitUntilUp()
    #expect(try site.postmaster() != before)
  }

  @Test("Killed while it copies, too")
  func killedWhileCopying() throws {
    let site = try StoppableSite()
    let before = try site.postmaster()
    // The stop command is done; whoever it leaves behind waits for the copy.
    let killer = """
      p=$PPID; (exec 3>&-; until ls \(site.repository)/main/.partial-*/base.tar.zst; do sleep 0.01; done; \
      kill -9 $p) >/dev/null 2>&1 &
      """
    let outcome = try site.backUp(stop: "\(killer)\n\(site.stop)")
    #expect(outcome.status == 137)
    try site.waitUntilUp()
    #expect(try site.postmaster() != before)
    #expect(try site.backups().allSatisfy { $0.hasPrefix(".partial-") })
  }

  @Test("Told to end while the server is down, pgstill starts it first")
  func interrupted() throws {
    let site = try StoppableSite()
    let before = try site.postmaster()
    let outcome = try site.backUp(stop: "\(site.stop); kill -TERM $PPID")
    let failure = try site.failure(outcome, 143)
    #expect(failure.further.contains { $0.hasPrefix("the server runs again; it was down for ") })
    #expect(try site.cluster.sql("SELECT 1") == "1")
    #expect(try site.postmaster() != before)
    #expect(try site.backups() == [])
  }
}
