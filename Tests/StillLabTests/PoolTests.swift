import Foundation
import StillTestSupport
import Testing

extension LabTests {
  /// A cluster on thin volumes, whose pool others fill too.
  @Suite(.serialized)
  struct PoolTests {
    @Test func aPoolThatFillsWhileItIsCopiedIsGivenUpBeforeTheServerRunsOutOfRoom() throws {
      let (status, talk) = try backupWhileThePoolFills { _ in }
      #expect(status == 16, "\(talk)")
      #expect(talk.contains("the thin pool of vg0/"))
      #expect(talk.contains("the snapshots were given up before the server runs out of room"))
      #expect(talk.contains("hint: Nothing was published. Extend the pool"))
    }

    /// Ctrl-Z, for one: the coordinator looks at nothing any more, and the pool fills.
    @Test func aPoolThatFillsWhileTheCoordinatorIsStoppedIsGivenUpToo() throws {
      let (status, talk) = try backupWhileThePoolFills { coordinator in
        kill(coordinator, SIGSTOP)
        defer { kill(coordinator, SIGCONT) }
        try waitUntil("the snapshots are given up") {
          try Tool.demand("dmsetup", "table").split(separator: "\n")
            .filter { $0.contains("_still_") && $0.contains(" thin ") }.isEmpty
        }
        // The pool has their room back.
        #expect(try Lab.sql("CREATE TABLE meanwhile AS SELECT 1; DROP TABLE meanwhile") == "")
      }
      #expect(status == 16, "\(talk)")
      #expect(talk.contains("did not ask for the fill any more"), "\(talk)")
    }

    /// - Parameter meanwhile: is handed the coordinator while it copies and the pool begins to fill.
    private func backupWhileThePoolFills(
      _ meanwhile: (Int32) throws -> Void
    ) throws -> (status: Int32, talk: String) {
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
      // Up to 93 %: at 100 % all that writes to the pool would stand still.
      let writer = try Background(
        """
        i=0
        while dmsetup status vg0-pool-tpool | awk '{split($6, data, "/"); exit data[1] / data[2] > 0.93}'; do
          dd if=/dev/zero of=/dev/vg0/filler bs=8M count=1 seek=$((i++)) oflag=direct
        done
        """)
      let outcome = Result { try meanwhile(run.process) }
      let status = run.wait()
      #expect(writer.wait() == 0)
      try outcome.get()
      let talk = try String(contentsOfFile: repository + "/talk", encoding: .utf8)
      try Tool.demand("lvremove", "-qq", "-y", "vg0/filler")
      #expect(try Tool.demand("find", repository, "-name", "*.tar*") == "")
      #expect(try Lab.snapshots() == [])
      #expect(
        try Lab.sql(
          "CREATE TABLE after_all AS SELECT 1 AS n; SELECT n FROM after_all; DROP TABLE after_all")
          == "1")
      return (status, talk)
    }
  }
}
