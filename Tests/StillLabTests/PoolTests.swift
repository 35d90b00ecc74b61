import Foundation
import StillTestSupport
import Testing

extension LabTests {
  /// A cluster on thin volumes, whose pool others fill too.
  @Suite(.serialized)
  struct PoolTests {
    @Test func aPoolThatFillsWhileItIsCopiedIsGivenUpBeforeTheServerRunsOutOfRoom() throws {
      try Lab.cluster()
      let repository = try Lab.newFolder("repo")
      try Tool.demand(
        "lvcreate", "-qq", "-y", "-V", "900M", "-n", "filler", "--thinpool", "vg0/pool")
      let run = try Background(
        "exec \(Lab.executable("pgstill")) backup --pgdata \(Lab.dataDirectory) --repo \(repository) "
          + "--compress none --rate-limit 512K 2>\(repository)/talk")
      try waitUntil("it copies") {
        try !Tool.demand("find", repository, "-name", "base.tar*").isEmpty
      }
      let writer = try Background(
        "for i in $(seq 0 111); do dd if=/dev/zero of=/dev/vg0/filler bs=8M count=1 seek=$i oflag=direct; "
          + "sleep 0.02; done")
      let status = run.wait()
      writer.end()
      let talk = try String(contentsOfFile: repository + "/talk", encoding: .utf8)
      try Tool.demand("lvremove", "-qq", "-y", "vg0/filler")
      #expect(status == 16, "\(talk)")
      #expect(talk.contains("the thin pool of vg0/"))
      #expect(talk.contains("the snapshots were given up before the server runs out of room"))
      #expect(talk.contains("hint: Nothing was published. Extend the pool"))
      #expect(try Tool.demand("find", repository, "-name", "*.tar*") == "")
      #expect(try Lab.snapshots() == [])
      #expect(
        try Lab.sql("CREATE TABLE after_all AS SELECT 1 AS n; SELECT n FROM after_all") == "1")
    }
  }
}
