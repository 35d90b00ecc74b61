import Foundation
import StillTestSupport
import Testing

extension LabTests {
  @Suite(.serialized)
  struct ShutdownTests {
    @Test("Stopped, frozen and started under load: down for the freeze only, and nothing is lost")
    func night() throws {
      try Lab.cluster()
      let notes = try Lab.newFolder("load")
      try Tool.demand(Lab.helper("load"), "start", notes, "1")
      let repository = try Lab.newFolder("repo")
      let backup = try Lab.pgstill(
        "backup", "--pgdata", Lab.dataDirectory, "--repo", repository, "--consistency", "shutdown",
        "--json", "--verbose")
      #expect(backup.status == 0, "\(backup.talk)")
      // Its writers lost their connections with the stop.
      _ = try Tool.run([Lab.helper("load"), "stop", notes])
      #expect(
        backup.talk.contains("note: the server is stopped for the freeze, and started at once"))
      let document = try Lab.json(backup.output)
      let record = try #require(document["backup"] as? [String: Any])
      let freeze = try #require(record["freeze"] as? [String: Any])
      let began = try #require(freeze["beganMicroseconds"] as? Int)
      let downtime = try #require(record["downtime"] as? [String: Any])
      let seconds = try #require(downtime["seconds"] as? Double)
      let phases = try #require(document["seconds"] as? [String: Double])
      print("shutdown night: down for \(seconds) s; \(phases)")
      let names = (record["phases"] as? [[String: Any]])?.compactMap { $0["name"] as? String }
      #expect(names == ["discover", "plan", "prepare", "stop", "freeze", "start", "copy"])
      #expect(try Lab.sql("SELECT count(*) > 0 FROM witness") == "t", "the server runs")
      #expect(try Lab.snapshots() == [])

      let place = try Lab.newFolder("restored")
      let target = place + "/data"
      let restore = try Lab.pgstill(
        "restore", "latest", "--repo", repository, "--target", target, "--tablespace-mapping",
        "\(Lab.tablespace)=\(place)/space")
      #expect(restore.status == 0, "\(restore.talk)")
      try Lab.withServer(target) { port in
        let words = try String(contentsOfFile: target + ".log", encoding: .utf8)
        #expect(words.contains("database system was shut down at"))
        for bad in ["PANIC", "FATAL", "interrupted", "redo", "could not"] {
          #expect(!words.contains(bad), "\(words)")
        }
        let check = try Tool.run([Lab.helper("load"), "check", "\(port)", notes, "\(began)"])
        #expect(check.status == 0, "\(check.output)")
        try Tool.demand(
          "runuser", "-u", "postgres", "--", "pg_amcheck", "-p", "\(port)", "--all",
          "--install-missing", "--heapallindexed")
      }
      try Tool.demand("rm", "-rf", place)
    }

    @Test("Killed with the server down and snapshots prepared: both are given back by themselves")
    func killedWhileDown() throws {
      try Lab.cluster()
      let control = "pg_ctl -D \(Lab.dataDirectory) -w -s"
      let started = try Lab.sql("SELECT pg_postmaster_start_time()")
      let backup = try Lab.pgstill(
        "backup", "--pgdata", Lab.dataDirectory, "--repo", try Lab.newFolder("repo"),
        "--consistency", "shutdown", "--stop-command", "\(control) -m fast stop; kill -9 $PPID",
        "--start-command", "\(control) -t 120 -l /var/log/postgresql/lab.log start")
      #expect(backup.status == 137, "\(backup.talk)")
      try waitUntil("the server runs again") {
        (try? Lab.sql("SELECT pg_postmaster_start_time()")).map { $0 != started } ?? false
      }
      try waitUntil("the snapshots are gone") { try Lab.snapshots() == [] }
    }
  }
}
