import Foundation
import StillTestSupport
import Testing

extension LabTests {
  @Suite(.serialized)
  struct MirrorTests {
    @Test func mirrorsOfFrozenVolumesUnderLoadAreEachVerifiedRestoredStartedAndWhole() throws {
      try Lab.cluster()
      let notes = try Lab.newFolder("load")
      try Tool.demand(Lab.helper("load"), "start", notes, "1")
      let repository = try Lab.newFolder("repo")
      var earlier: String?
      for _ in 1...2 {
        let backup = try Lab.pgstill(
          "backup", "--pgdata", Lab.dataDirectory, "--repo", repository, "--format", "mirror",
          "--json")
        #expect(backup.status == 0, "\(backup.talk)")
        let record = try #require(try Lab.json(backup.output)["backup"] as? [String: Any])
        #expect(record["consistency"] as? String == "snapshot")
        let freeze = try #require(record["freeze"] as? [String: Any])
        #expect((freeze["volumes"] as? [Any])?.count == 3)
        let began = try #require(freeze["beganMicroseconds"] as? Int)
        let window = try #require(freeze["windowMilliseconds"] as? Double)
        let mirror = try #require(record["mirror"] as? [String: Any])
        #expect(mirror["sharedWith"] as? String == earlier)
        let sharing = try #require(mirror["sharing"] as? [String: Any])
        #expect((sharing["linked"] as? Int ?? 0 > 0) == (earlier != nil), "\(sharing)")
        earlier = record["id"] as? String
        try Tool.demand(Lab.helper("load"), "pause", notes)
        let verified = try Lab.pgstill("verify", "latest", "--repo", repository)
        #expect(verified.status == 0, "\(verified.output)\(verified.talk)")
        try RestoredCopy.check(
          repository, notes, began: began, ended: began + Int(window * 1000))
        try Tool.demand(Lab.helper("load"), "resume", notes)
      }
      try Tool.demand(Lab.helper("load"), "stop", notes)
      #expect(try Lab.snapshots() == [])
    }
  }
}
