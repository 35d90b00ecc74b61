import Foundation
import StillTestSupport
import Testing

extension LabTests {
  /// Every mode, on the volumes that this lab has: classic, thin, or some of both (`LAB_LAYOUT`).
  @Suite(.serialized)
  struct ModeTests {
    @Test func backupsOfEveryModeUnderLoadAreRestoredStartedAndWhole() throws {
      try Lab.cluster()
      let notes = try Lab.newFolder("load")
      let repository = try Lab.newFolder("repo")
      let load = try Lab.helper("load")
      try Tool.demand(load, "start", notes, "1")

      let snapshot = try backUp(repository, "snapshot")
      let freeze = try #require(snapshot["freeze"] as? [String: Any])
      let began = try #require(freeze["beganMicroseconds"] as? Int)
      let window = try #require(freeze["windowMilliseconds"] as? Double)
      #expect((freeze["volumes"] as? [Any])?.count == 3)
      print("snapshot on \(Lab.layout): window \(window) ms")
      try Tool.demand(load, "pause", notes)
      try RestoredCopy.check(
        repository, notes, began: began, ended: began + Int(window * 1000))
      try Tool.demand(load, "resume", notes)

      let start = Int(Date().timeIntervalSince1970 * 1e6)
      let online = try backUp(repository, "online")
      #expect(online["online"] != nil)
      try Tool.demand(load, "pause", notes)
      try RestoredCopy.check(repository, notes, began: start)
      try Tool.demand(load, "resume", notes)

      let shutdown = try backUp(repository, "shutdown")
      let downtime = try #require(shutdown["downtime"] as? [String: Any])
      print("shutdown on \(Lab.layout): down for \(downtime["seconds"] ?? "?") s")
      // The writers ended with the server: whatever it had acknowledged to them is in the copy.
      _ = try Tool.run([load, "stop", notes])
      try RestoredCopy.check(
        repository, notes, began: Int(Date().timeIntervalSince1970 * 1e6))
      #expect(try Lab.sql("select 1") == "1")
      #expect(try Lab.snapshots() == [])
    }

    private func backUp(_ repository: String, _ mode: String) throws -> [String: Any] {
      let backup = try Lab.pgstill(
        "backup", "--pgdata", Lab.dataDirectory, "--repo", repository, "--json", "--consistency",
        mode)
      #expect(backup.status == 0, "\(mode): \(backup.talk)")
      let record = try #require(try Lab.json(backup.output)["backup"] as? [String: Any])
      #expect(record["consistency"] as? String == mode)
      return record
    }
  }
}
