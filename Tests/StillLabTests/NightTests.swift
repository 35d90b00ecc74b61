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
        try RestoredCopy.check(
          repository, notes, began: began, ended: began + Int(window * 1000))
        try Tool.demand(Lab.helper("load"), "resume", notes)
      }
      try Tool.demand(Lab.helper("load"), "stop", notes)
      #expect(try Lab.snapshots() == [])
      let list = try Lab.json(Lab.pgstill("list", "--repo", repository, "--json").output)
      #expect((list["backups"] as? [Any])?.count == 10)
    }
  }
}
