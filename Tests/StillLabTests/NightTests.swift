import Foundation
import StillTestSupport
import Testing

/// All tests of the lab are one after the other: they share its volumes.
@Suite(.serialized, .enabled(if: Lab.isHere, Lab.reason))
struct LabTests {}

extension LabTests {
  @Suite(.serialized)
  struct NightTests {
    @Test func tenBackupsUnderLoadAreEachRestoredStartedAndWhole() throws {
      try Lab.cluster()
      let notes = try Lab.newFolder("load")
      try Tool.demand(Lab.helper("load"), "start", notes, "1")
      let repository = try Lab.newFolder("repo")
      for round in 1...10 {
        let backup = try Lab.pgstill(
          "backup", "--pgdata", Lab.dataDirectory, "--repo", repository, "--json")
        #expect(backup.status == 0, "\(backup.talk)")
        let document = try Lab.json(backup.output)
        let record = try #require(document["backup"] as? [String: Any])
        let freeze = try #require(record["freeze"] as? [String: Any])
        let began = try #require(freeze["beganMicroseconds"] as? Int)
        let window = try #require(freeze["windowMilliseconds"] as? Double)
        let skew = try #require(freeze["skewMilliseconds"] as? Double)
        // What is restored is looked at in peace: the next night has its load again.
        try Tool.demand(Lab.helper("load"), "pause", notes)
        print("night \(round): window \(window) ms, skew \(skew) ms")
        try restoreAndCheck(repository, notes, began: began, ended: began + Int(window * 1000))
        try Tool.demand(Lab.helper("load"), "resume", notes)
      }
      try Tool.demand(Lab.helper("load"), "stop", notes)
      #expect(try Lab.snapshots() == [])
      let list = try Lab.json(Lab.pgstill("list", "--repo", repository, "--json").output)
      #expect((list["backups"] as? [Any])?.count == 10)
    }

    /// Restores the latest backup beside the running cluster, starts it, and asks it.
    private func restoreAndCheck(
      _ repository: String, _ notes: String, began: Int, ended: Int
    ) throws {
      let place = try Lab.newFolder("restored")
      let target = place + "/data"
      let restore = try Lab.pgstill(
        "restore", "latest", "--repo", repository, "--target", target, "--tablespace-mapping",
        "\(Lab.tablespace)=\(place)/space")
      #expect(restore.status == 0, "\(restore.talk)")
      try Tool.demand(
        "runuser", "-u", "postgres", "--", "pg_verifybackup", "-m",
        "\(repository)/pg/latest/backup_manifest", target)
      try Lab.withServer(target) { port in
        let words = try String(contentsOfFile: target + ".log", encoding: .utf8)
        #expect(words.contains("database system is ready to accept connections"))
        for bad in ["PANIC", "FATAL", "invalid page", "could not"] {
          #expect(!words.contains(bad), "\(words)")
        }
        let check = try Tool.run([
          Lab.helper("load"), "check", "\(port)", notes, "\(began)", "\(ended)",
        ])
        #expect(check.status == 0, "\(check.output)")
        try Tool.demand(
          "runuser", "-u", "postgres", "--", "pg_amcheck", "-p", "\(port)", "--all",
          "--install-missing", "--heapallindexed")
      }
      let sums = try Tool.run(
        ["runuser", "-u", "postgres", "--", "pg_checksums", "--check", "-D", target])
      #expect(sums.status == 0, "\(sums.output) \(sums.talk)")
      try Tool.demand("rm", "-rf", place)
    }
  }
}
