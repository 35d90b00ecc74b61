import StillModel
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

@testable import StillPostgres

/// A cluster that was stopped without a shutdown checkpoint is what a freeze leaves.
@Suite(.serialized) struct FrozenWALTests {
  /// Small segments, few of them kept, so that a test makes many and recycles some.
  private func makeCluster(_ settings: [String: String] = [:]) throws -> ThrowAwayCluster {
    let own = ["min_wal_size": "4MB", "max_wal_size": "8MB", "wal_keep_size": "0"]
    return try ThrowAwayCluster(
      settings: own.merging(settings) { $1 }, initdb: ["--wal-segsize=1"])
  }

  private func write(_ cluster: ThrowAwayCluster, segments: Int) throws {
    let session = try cluster.session()
    for _ in 0..<segments {
      _ = try session.query("SELECT pg_logical_emit_message(false, 'test', repeat('x', 900000))")
      _ = try session.query("SELECT pg_switch_wal()")
    }
  }

  private func examine(_ cluster: ThrowAwayCluster, flushed: LSN? = nil) throws -> FrozenWAL {
    let directory = try DataDirectory.open(cluster.dataDirectory)
    return try FrozenWAL.examine(
      directory.folder.folder("pg_wal"), directory.control, flushed: flushed)
  }

  private func wal(_ cluster: ThrowAwayCluster) -> FilePath {
    cluster.dataDirectory.appending("pg_wal")
  }

  /// Leaves only the kept files, and lets PostgreSQL's own tools judge.
  private func expectEnough(_ cluster: ThrowAwayCluster, _ frozen: FrozenWAL, _ flushed: LSN?)
    throws
  {
    let folder = try OpenFolder.open(wal(cluster))
    for left in frozen.leftOut where try folder.metadata(of: left.name).kind == .file {
      try folder.folder(left.name.removingLastComponent())
        .remove(FilePath(root: nil, [try #require(left.name.lastComponent)]))
    }
    let control = try DataDirectory.open(cluster.dataDirectory).control
    let ranges = frozen.manifestRanges(
      flushed: flushed, minimumRecoveryPoint: control.minimumRecoveryPoint)
    #expect(!ranges.isEmpty)
    for range in ranges {
      let output = try cluster.run(
        "pg_waldump",
        [
          "--quiet", "--path=\(wal(cluster))", "--timeline=\(range.timeline)",
          "--start=\(range.start)", "--end=\(range.end)",
        ])
      #expect(output == "")
    }
    try cluster.start()
  }

  @Test func recycledSegmentsAreLeftOut() throws {
    let cluster = try makeCluster()
    try write(cluster, segments: 8)
    try cluster.sql("CHECKPOINT")
    try write(cluster, segments: 2)
    try cluster.sql("CHECKPOINT", "CREATE TABLE kept AS SELECT 42 AS answer")
    let flushed = try cluster.session().flushLSN()
    try cluster.stop("immediate")

    let frozen = try examine(cluster, flushed: flushed)
    let recycled = frozen.leftOut.filter {
      if case .recycled = $0.reason { true } else { false }
    }
    #expect(!recycled.isEmpty)
    #expect(frozen.segments.count == 1)
    #expect(frozen.segments.first?.start ?? LSN(0) <= frozen.redo)
    #expect(frozen.end >= flushed)
    #expect(frozen.end.position - flushed.position < 8192 + 8192)
    #expect(frozen.checkpointEnd <= flushed)
    #expect(frozen.history.timeline == 1)
    try expectEnough(cluster, frozen, flushed)
    #expect(try cluster.sql("SELECT answer FROM kept") == "42")
  }

  @Test func aLogOfManySegmentsIsKeptWhole() throws {
    let cluster = try makeCluster(["checkpoint_timeout": "1h", "max_wal_size": "1GB"])
    try cluster.sql("CHECKPOINT")
    try write(cluster, segments: 5)
    try cluster.sql("CREATE TABLE kept AS SELECT 42 AS answer")
    let flushed = try cluster.session().flushLSN()
    try cluster.stop("immediate")
    let frozen = try examine(cluster, flushed: flushed)
    #expect(frozen.segments.count >= 6)
    #expect(zip(frozen.segments, frozen.segments.dropFirst()).allSatisfy { $0.next == $1 })
    try expectEnough(cluster, frozen, flushed)
    #expect(try cluster.sql("SELECT answer FROM kept") == "42")
  }

  @Test func aSwitchMayBeTheLastThing() throws {
    let cluster = try makeCluster()
    try cluster.sql("CHECKPOINT", "SELECT pg_switch_wal()")
    let flushed = try cluster.session().flushLSN()
    try cluster.stop("immediate")
    #expect(flushed.position % (1 << 20) == 0, "the next segment was not begun")
    let frozen = try examine(cluster, flushed: flushed)
    #expect(frozen.end < flushed)
    try expectEnough(cluster, frozen, flushed)
  }

  @Test func aStoppedServerNeedsItsLastCheckpoint() throws {
    let cluster = try makeCluster()
    try cluster.stop("fast")
    let directory = try DataDirectory.open(cluster.dataDirectory)
    #expect(directory.control.redo == directory.control.checkpoint)
    let frozen = try examine(cluster)
    #expect(frozen.segments.count == 1)
    try expectEnough(cluster, frozen, nil)
  }

  @Test func whatIsMissingOrDamagedIsNamed() throws {
    let cluster = try makeCluster(["checkpoint_timeout": "1h", "max_wal_size": "1GB"])
    try cluster.sql("CHECKPOINT")
    try write(cluster, segments: 4)
    let flushed = try cluster.session().flushLSN()
    try cluster.stop("immediate")
    let frozen = try examine(cluster, flushed: flushed)
    let folder = try OpenFolder.open(wal(cluster))

    func failure(_ shell: String) throws -> String {
      try cluster.runAsOwner(
        "/bin/sh", ["-c", "cp -a \(wal(cluster)) \(cluster.folder)/keep"])
      defer {
        _ = try? cluster.runAsOwner(
          "/bin/sh",
          ["-c", "rm -rf \(wal(cluster)); mv \(cluster.folder)/keep \(wal(cluster))"])
      }
      try cluster.runAsOwner("/bin/sh", ["-c", "cd \(wal(cluster)) && \(shell)"])
      let error = #expect(throws: StillError.self, "\(shell)") {
        try examine(cluster, flushed: flushed)
      }
      #expect(error?.status == .failed)
      return error?.message ?? ""
    }
    let first = try #require(frozen.segments.first)
    let second = frozen.segments[1]
    let third = frozen.segments[2]
    #expect(try failure("rm \(first)").hasSuffix("is missing"))
    #expect(try failure("truncate -s 1000 \(first)").contains("has 1000 bytes"))
    #expect(
      try failure("truncate -s 0 \(first); truncate -s 1M \(first)").hasSuffix("is full of zeros"))
    #expect(try failure("cp \(third) \(first)").contains("holds the log from \(third.start)"))
    #expect(
      try failure("printf '\\003' | dd of=\(first) bs=1 seek=4 conv=notrunc")
        .hasSuffix("belongs to another timeline"))
    #expect(
      try failure("printf abcdefgh | dd of=\(first) bs=1 seek=24 conv=notrunc")
        .hasSuffix("is not WAL of this cluster"))
    #expect(
      try failure("rm \(third)").contains(
        "before what was committed before the freeze at \(flushed)")
    )
    #expect(
      try failure(
        "printf abcdefghijklmnopqrstuvwx | dd of=\(second) bs=1 seek=1040384 conv=notrunc"
      )
      .contains("has a hole: segment \(second)"))
    #expect(folder.path == wal(cluster))
  }

  @Test func strangeFilesAreLeftOut() throws {
    let cluster = try makeCluster()
    try cluster.stop("immediate")
    let zeros = "0000000100000000000000F0"
    try cluster.runAsOwner(
      "/bin/sh",
      [
        "-c",
        "cd \(wal(cluster)) && mkdir -p summaries && touch xlogtemp.12 "
          + "000000010000000000000001.00000028.backup 000000010000000000000001.partial && "
          + "truncate -s 1M \(zeros) && ln -s xlogtemp.12 000000010000000000000099",
      ])
    let reasons = Dictionary(
      uniqueKeysWithValues: try examine(cluster).leftOut.map { ($0.name.string, $0.reason) })
    #expect(reasons["summaries"] == .summaries)
    #expect(reasons["xlogtemp.12"] == .notWAL)
    #expect(reasons["000000010000000000000099"] == .notWAL)
    #expect(reasons["000000010000000000000001.00000028.backup"] == .backupHistory)
    #expect(reasons["000000010000000000000001.partial"] == .partial)
    #expect(reasons[zeros] == .preallocated)
  }

  @Test func aNewTimelineIsFollowed() throws {
    let cluster = try makeCluster(["checkpoint_timeout": "1h"])
    try cluster.sql("CREATE TABLE kept AS SELECT generate_series(1, 20000) AS i")
    try cluster.stop("fast")
    try cluster.runAsOwner("/bin/touch", [cluster.dataDirectory.appending("standby.signal").string])
    try cluster.start()
    try cluster.promote()
    // The promotion's own checkpoint ends on the new timeline; what it leaves is its history.
    try cluster.sql("CHECKPOINT", "CREATE TABLE later AS SELECT 42 AS answer")
    let flushed = try cluster.session().flushLSN()
    try cluster.stop("immediate")
    let frozen = try examine(cluster, flushed: flushed)
    #expect(frozen.history.timeline == 2)
    #expect(frozen.history.ancestors.map(\.timeline) == [1])
    #expect(frozen.histories.map(\.string) == ["00000002.history"])
    try expectEnough(cluster, frozen, flushed)
    #expect(try cluster.sql("SELECT answer FROM later") == "42")
  }

  /// The moment between a promotion and its first checkpoint, made by hand: the control file that the
  /// standby had, beside the WAL that the promotion wrote.
  @Test func aRedoPointOnTheTimelineBefore() throws {
    let cluster = try makeCluster(["checkpoint_timeout": "1h"])
    try cluster.sql("CREATE TABLE kept AS SELECT 42 AS answer")
    try cluster.stop("fast")
    let data = cluster.dataDirectory
    try cluster.runAsOwner("/bin/touch", [data.appending("standby.signal").string])
    try cluster.start()
    try cluster.runAsOwner("/bin/cp", ["\(data)/global/pg_control", "\(cluster.folder)/control"])
    try cluster.promote()
    try write(cluster, segments: 2)
    try cluster.stop("immediate")
    try cluster.runAsOwner("/bin/cp", ["\(cluster.folder)/control", "\(data)/global/pg_control"])
    let control = try DataDirectory.open(data).control
    #expect(control.recoveryTimeline == 1)
    let frozen = try examine(cluster)
    #expect(frozen.history.timeline == 2)
    let timelines = frozen.segments.map(\.timeline)
    #expect(timelines.prefix(2) == [1, 2], "both files of the segment in which it branched off")
    #expect(frozen.segments[0].number == frozen.segments[1].number)
    #expect(timelines.dropFirst(2).allSatisfy { $0 == 2 } && timelines.count >= 3)
    let ranges = frozen.manifestRanges(flushed: frozen.end, minimumRecoveryPoint: nil)
    #expect(ranges.map(\.timeline) == [2, 1])
    #expect(ranges[0].start == ranges[1].end)
    #expect(ranges[1].start == control.redo)

    // The same files in crash recovery: that stays on its timeline, whatever lies beside it.
    var crashed = control
    crashed.state = .inProduction
    let stayed = try FrozenWAL.examine(OpenFolder.open(wal(cluster)), crashed)
    #expect(stayed.history.timeline == 1)
    #expect(stayed.segments.map(\.timeline) == [1])
    #expect(stayed.leftOut.contains { $0.reason == .otherTimeline })
  }
}
