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

    @Test("Whoever is killed while the server is down, it runs again, and nothing is left")
    func kills() throws {
      try Lab.cluster()
      let repository = try Lab.newFolder("repo")
      let cases: [(target: KillTarget, step: String, status: Int32)] = [
        (.broker, "stop.end", 13), (.both, "stop.end", 137), (.sentinel, "stop.end", 0),
        (.coordinator, "freeze.end", 137), (.both, "start.begin", 137),
      ]
      for (target, step, status) in cases {
        let what = "\(target) at \(step)"
        let started = try Lab.sql("SELECT pg_postmaster_start_time()")
        let published = try Lab.published(repository)
        let victim = try KillVictim(at: step, rest: 1.5, repository, "shutdown")
        _ = try victim.marks.wait(for: step, of: "coordinator")
        let sentinel = try sentinel(of: victim.coordinator)
        let targets =
          switch target {
          case .coordinator: [victim.coordinator]
          case .broker: [victim.broker]
          case .sentinel: [sentinel]
          case .both: [victim.broker, victim.coordinator]
          }
        #expect(throws: (any Error).self, "\(what): the server is down") { try Lab.sql("SELECT 1") }
        #expect(targets.allSatisfy { kill($0, SIGKILL) == 0 }, "\(what)")
        #expect(victim.wait() == status, "\(what): \(victim.talk)")
        try waitUntil("the server runs again") {
          (try? Lab.sql("SELECT pg_postmaster_start_time()")).map { $0 != started } ?? false
        }
        try waitUntil("our processes end") {
          try Lab.processes() == [] && kill(sentinel, 0) != 0
        }
        #expect(
          try Lab.published(repository).count - published.count == (status == 0 ? 1 : 0), "\(what)")
        #expect(try Lab.pgstill("release").status == 0, "\(what)")
        #expect(try Lab.snapshots() == [], "\(what)")
        #expect(try Lab.suspendedDevices() == [], "\(what)")
        print("shutdown, \(what): status \(status), the server runs")
      }
    }

    private enum KillTarget: String { case coordinator, broker, sentinel, both }

    private func sentinel(of coordinator: Int32) throws -> Int32 {
      let words = try Tool.demand("pgrep", "-P", "\(coordinator)", "-f", " sentinel")
      return try #require(Int32(words.split(separator: "\n").first ?? ""))
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
