import Foundation
import StillTestSupport
import Testing

extension LabTests {
  /// Moves of the cluster on three volumes of two file systems.
  @Suite(.serialized)
  struct MoveTests {
    @Test func aClusterOnThreeVolumesMovesUnderLoadAndBack() throws {
      try Lab.cluster()
      let notes = try Lab.newFolder("load")
      let place = try Lab.newFolder("moved")
      let load = try Lab.helper("load")
      try Tool.demand(load, "start", notes, "1")

      let moved = try Lab.pgstill(
        "migrate", "--pgdata", Lab.dataDirectory, "--to", place + "/data", "--tablespace-mapping",
        "\(Lab.tablespace)=\(place)/space", "--wal-dir", place + "/wal", "--json")
      #expect(moved.status == 0, "\(moved.talk)")
      // The writers ended with the old server: whatever it had acknowledged to them is on the new one.
      _ = try Tool.run([load, "stop", notes])
      let now = Int(Date().timeIntervalSince1970 * 1e6)
      #expect(try Lab.sql("SHOW data_directory") == place + "/data")
      #expect(
        try Lab.sql("SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'far'")
          == place + "/space")
      let check = try Tool.run([load, "check", "5432", notes, "\(now)"])
      #expect(check.status == 0, "\(check.output)")
      try Tool.demand(
        "runuser", "-u", "postgres", "--", "pg_amcheck", "--all", "--install-missing",
        "--heapallindexed")
      let report = try Lab.json(moved.output)
      let passes = try #require(report["passes"] as? [[String: Any]])
      #expect(passes.count >= 3)
      #expect(
        passes.map { $0["source"] as? String }
          == Array(repeating: "snapshots", count: passes.count - 1) + ["stopped"])
      #expect(try Lab.snapshots() == [])
      let downtime = try #require(report["downtime"] as? [String: Double])
      print("moved three volumes: \(downtime)")

      // What has been written since is given up.
      try Tool.demand(
        "runuser", "-u", "postgres", "--", "pg_ctl", "-D", place + "/data", "-w", "stop")
      let undone = try Lab.pgstill(
        "migrate", "--undo", "--discard-new", "--pgdata", Lab.dataDirectory, "--json")
      #expect(undone.status == 0, "\(undone.talk)")
      #expect(try Lab.sql("SHOW data_directory") == Lab.dataDirectory)
      let back = try Tool.run([load, "check", "5432", notes, "\(now)"])
      #expect(back.status == 0, "\(back.output)")

      // It goes on from there, as another night would.
      let again = try Lab.pgstill(
        "migrate", "--pgdata", Lab.dataDirectory, "--to", place + "/data", "--tablespace-mapping",
        "\(Lab.tablespace)=\(place)/space", "--wal-dir", place + "/wal", "--keep-source-running",
        "--json")
      #expect(again.status == 0, "\(again.talk)")
      let first = try #require(Lab.json(again.output)["passes"] as? [[String: Any]]).first
      #expect(first?["compared"] as? Int == first?["files"] as? Int)
      #expect(try Lab.sql("SHOW data_directory") == Lab.dataDirectory)
      try Tool.demand("rm", "-rf", place)
    }

    @Test(arguments: ["overflow", "broker"])
    func aSnapshotThatIsLostCostsAPassAndNoMore(by what: String) throws {
      try Lab.cluster()
      defer { _ = try? Tool.run(["rm", "-f", "/mnt/data/noise"]) }
      let place = try Lab.newFolder("rehearsed")
      let line = [
        "migrate", "--pgdata", Lab.dataDirectory, "--to", place + "/data", "--tablespace-mapping",
        "\(Lab.tablespace)=\(place)/space", "--wal-dir", place + "/wal", "--keep-source-running",
        "--rate-limit", "6M", "--snapshot-size", "12M", "--keep-free", "100G", "--json",
      ]
      let run = try Background(
        "exec \(Lab.executable("pgstill")) \(line.joined(separator: " ")) >\(place)/out 2>\(place)/talk"
      )
      try waitUntil("it copies") {
        try !Tool.demand("find", place, "-path", "*/data/base/*").isEmpty
      }
      if what == "overflow" {
        let writer = try Background(
          "while :; do dd if=/dev/urandom of=/mnt/data/noise bs=1M count=24 conv=fsync; done")
        try waitUntil("it overflows") {
          try String(contentsOfFile: place + "/talk", encoding: .utf8).contains("overflowed")
        }
        writer.end()
      } else {
        try Tool.demand("pkill", "-KILL", "-f", "pgstill broker")
      }
      let status = run.wait()
      let talk = try String(contentsOfFile: place + "/talk", encoding: .utf8)
      #expect(status == 0, "\(talk)")
      #expect(talk.contains("this pass goes on from the live files: "), "\(talk)")
      #expect(talk.contains(what == "overflow" ? "overflowed" : "the broker has died"), "\(talk)")
      let report = try Lab.json(String(contentsOfFile: place + "/out", encoding: .utf8))
      let passes = try #require(report["passes"] as? [[String: Any]])
      #expect(passes.count >= 2)
      #expect(passes.first?["source"] as? String == "live")
      #expect(
        passes.last?["source"] as? String == (what == "overflow" ? "snapshots" : "live"))
      if what == "broker" { #expect(talk.contains("pgstill release"), "\(talk)") }
      // Nobody knows what the first one came to.
      #expect(passes.first?["compared"] as? Int == passes.first?["files"] as? Int)
      if what == "broker" { #expect(try Lab.pgstill("release").status == 0) }
      #expect(try Lab.snapshots() == [])
      try Tool.demand("rm", "-rf", place)
    }
  }
}
