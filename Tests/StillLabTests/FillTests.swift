import Foundation
import StillModel
import StillSystem
import StillTestSupport
import StillVolumes
import SystemPackage
import Testing

extension LabTests {
  /// Snapshots that fill while they are copied.
  @Suite(.serialized)
  struct FillTests {
    /// A copy that takes a good ten seconds.
    private static let slowly = ["--rate-limit", "4M", "--compress", "none"]
    /// Nothing may be taken from the volume group.
    private static let stuck = ["--keep-free", "100G"]

    private func backup(_ repository: String, _ words: [String]) throws -> Background {
      let line = ["backup", "--pgdata", Lab.dataDirectory, "--repo", repository] + words
      return try Background(
        "exec \(Lab.executable("pgstill")) \(line.joined(separator: " ")) >\(repository)/out "
          + "2>\(repository)/talk")
    }

    private func talk(_ repository: String) throws -> String {
      try String(contentsOfFile: repository + "/talk", encoding: .utf8)
    }

    private func waitForCopy(_ repository: String) throws {
      try waitUntil("it copies") {
        try !Tool.demand("find", repository, "-name", "base.tar*").isEmpty
      }
    }

    @Test func anOverflowAtAnyMomentOfTheCopyEndsTheRunAndPublishesNothing() throws {
      try Lab.cluster()
      defer { _ = try? Tool.run(["rm", "-f", "/mnt/data/noise"]) }
      for round in 1...10 {
        let repository = try Lab.newFolder("repo")
        let run = try backup(
          repository, Self.slowly + Self.stuck + ["--snapshot-size", "12M"])
        try waitForCopy(repository)
        // One of them late in any case.
        let delay = round == 1 ? 6000 : Int.random(in: 0...7000)
        usleep(UInt32(delay) * 1000)
        let writer = try Background(
          "while :; do dd if=/dev/urandom of=/mnt/data/noise bs=1M count=24 conv=fsync; done")
        let status = run.wait()
        writer.end()
        let words = try talk(repository)
        print("overflow \(round), \(delay) ms into the copy: exit \(status)")
        #expect(status == 16, "\(delay) ms: \(words)")
        #expect(words.contains("overflowed"))
        // How much there is to copy is counted while it is copied.
        if delay > 2000 { #expect(words.contains("of the copy done"), "\(delay) ms: \(words)") }
        #expect(words.contains("hint: Nothing was published. Use --snapshot-size "))
        #expect(try Tool.demand("find", repository, "-name", "*.tar*") == "")
        #expect(try Lab.pgstill("list", "--repo", repository).output == "")
        #expect(try Lab.snapshots() == [])
      }
    }

    @Test func anExtensionSavesARunThatWouldHaveOverflowed() throws {
      try Lab.cluster()
      defer { _ = try? Tool.run(["rm", "-f", "/mnt/data/noise"]) }
      var outcomes: [Int32] = []
      // The same load, once with room in the volume group and once without.
      for room in [["--keep-free", "0"], Self.stuck] {
        let repository = try Lab.newFolder("repo")
        let run = try backup(
          repository, Self.slowly + room + ["--snapshot-size", "24M", "--json"])
        try waitForCopy(repository)
        let writer = try Background(
          "for i in $(seq 1 12); do dd if=/dev/urandom of=/mnt/data/noise bs=1M count=4 "
            + "oflag=append conv=notrunc,fsync; sleep 0.7; done")
        outcomes.append(run.wait())
        writer.end()
        try Tool.demand("rm", "-f", "/mnt/data/noise")
        guard outcomes == [0] else { continue }
        let words = try talk(repository)
        #expect(words.contains("note: extended vg0/data_still_"), "\(words)")
        let output = try String(contentsOfFile: repository + "/out", encoding: .utf8)
        let record = try #require(try Lab.json(output)["backup"] as? [String: Any])
        let extensions = try #require(record["extensions"] as? [[String: Any]])
        #expect(extensions.first?["origin"] as? String == "vg0/data")
        let history = try #require(record["fillHistory"] as? [[String: Any]])
        let peak = history.compactMap { ($0["used"] as? [Int])?.first }.max() ?? 0
        #expect(peak > 24 << 20, "it would not have overflowed: \(peak)")
        try restores(repository)
      }
      #expect(outcomes == [0, 16])
      #expect(try Lab.snapshots() == [])
    }

    /// Whoever has chosen that for his file system has not chosen it for a snapshot that runs full.
    @Test func anOverflowOfAFileSystemWhoseErrorsPanicDoesNotEndTheMachine() throws {
      try Lab.cluster()
      let origin = VolumeName(group: "vg0", volume: "data")
      try Tool.demand("tune2fs", "-e", "panic", "/dev/vg0/data")
      defer {
        _ = try? Tool.demand("tune2fs", "-e", "continue", "/dev/vg0/data")
        _ = try? Tool.demand("rm", "-f", "/mnt/data/noise")
      }
      let broker = try BrokerClient.start(
        program: Lab.programPath, owner: try Lab.postgresUser())
      defer { broker.end() }
      _ = try broker.prepare(
        RunID(at: Clock.now()), [SnapshotRequest(origin: origin, size: 8 << 20)],
        folders: [OpenFolder.open(Lab.folder(on: origin))])
      _ = try broker.freeze(deadline: 5)
      let root = try #require(try broker.open().first)
      defer { root.close() }
      try Tool.demand(
        "dd", "if=/dev/urandom", "of=/mnt/data/noise", "bs=1M", "count=24", "conv=fsync")
      try Tool.demand("sh", "-c", "echo 3 >/proc/sys/vm/drop_caches")
      #expect(try broker.fill().map(\.state) == [.invalid])
      // Inodes that are read from a device that has failed.
      #expect(throws: (any Error).self) {
        _ = try root.folder("pg").folder("base").folder("1").metadata(of: "1259")
      }
    }

    private func restores(_ repository: String) throws {
      let place = try Lab.newFolder("restored")
      let restore = try Lab.pgstill(
        "restore", "latest", "--repo", repository, "--target", place + "/data",
        "--tablespace-mapping", "\(Lab.tablespace)=\(place)/space")
      #expect(restore.status == 0, "\(restore.talk)")
      try Lab.withServer(place + "/data") { port in
        let answer = try Lab.sql("select 1", port: port)
        #expect(answer == "1")
      }
      try Tool.demand("rm", "-rf", place)
    }

    @Test func theSizeCanBeAShareOfWhatIsFreeOrUsed() throws {
      try Lab.cluster()
      let repository = "/mnt/repo-that-is-not-there"
      func sizes(_ size: String) throws -> [Int] {
        let plan = try Lab.pgstill(
          "backup", "--dry-run", "--json", "--pgdata", Lab.dataDirectory, "--repo", repository,
          "--snapshot-size", size)
        #expect(plan.status == 0, "\(plan.talk)")
        let volumes = try #require(try Lab.json(plan.output)["volumes"] as? [[String: Any]])
        return volumes.compactMap { $0["snapshotSize"] as? Int }
      }
      let free = try Tool.demand(
        "vgs", "--noheadings", "--units", "b", "--nosuffix", "-o", "vg_free", "vg0", "vg1"
      ).split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
      let share = try sizes("46%FREE")
      // data and wal share vg0 by their sizes, tbs has vg1 for itself; whole extents of 4 MiB.
      #expect(abs(share[0] + share[1] - free[0] * 46 / 100) <= 8 << 20, "\(share) of \(free)")
      #expect(abs(share[2] - free[1] * 46 / 100) <= 4 << 20, "\(share) of \(free)")
      #expect(share[0] > share[1])
      let used = try sizes("100%USED")
      #expect(used.allSatisfy { $0 >= 64 << 20 })
      #expect(used[0] < 400 << 20)
    }
  }
}
