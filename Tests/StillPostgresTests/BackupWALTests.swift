import StillModel
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

@testable import StillPostgres

@Suite struct BackupWALTests {
  private func makeCluster() throws -> ThrowAwayCluster {
    try ThrowAwayCluster(
      settings: ["min_wal_size": "4MB", "max_wal_size": "8MB", "checkpoint_timeout": "1h"],
      initdb: ["--wal-segsize=1"])
  }

  private func write(_ cluster: ThrowAwayCluster, segments: Int, switching: Bool = false) throws {
    let session = try cluster.session()
    for _ in 0..<segments {
      _ = try session.query("SELECT pg_logical_emit_message(true, 'test', repeat('x', 700000))")
      if switching { _ = try session.query("SELECT pg_switch_wal()") }
    }
  }

  private func folder(_ cluster: ThrowAwayCluster) throws -> OpenFolder {
    try OpenFolder.open(cluster.dataDirectory).folder("pg_wal")
  }

  private func examine(_ cluster: ThrowAwayCluster, _ ending: BackupMode.Ending) throws -> BackupWAL
  {
    try BackupWAL.examine(
      folder(cluster), BackupLabel(ending.label), stop: ending.stop,
      DataDirectory.open(cluster.dataDirectory).control)
  }

  @Test("Every segment from start to stop is found, and no other", arguments: [false, true])
  func found(switching: Bool) throws {
    let cluster = try makeCluster()
    let claim = try WALReservation.take("s", in: cluster.session())
    let mode = try BackupMode.begin(in: cluster.session(), label: "x")
    try write(cluster, segments: 5, switching: switching)
    let ending = try mode.end()
    try write(cluster, segments: 2)
    let wal = try examine(cluster, ending)
    let size = UInt64(1 << 20)
    let numbers = mode.start.position / size...(ending.stop.position - 1) / size
    #expect(numbers.count >= 4)
    #expect(wal.segments.map(\.number) == Array(numbers))
    #expect(
      wal.ranges == [FrozenWAL.Range(timeline: 1, start: mode.start, end: ending.stop)])
    #expect(wal.histories == [])
    let output = try cluster.run(
      "pg_waldump",
      [
        "--quiet", "--path=\(cluster.dataDirectory)/pg_wal", "--timeline=1",
        "--start=\(wal.start)", "--end=\(wal.stop)",
      ])
    #expect(output == "")
    for segment in wal.segments {
      #expect(try wal.open(segment).metadata().size == size)
      try wal.requireThere(segment)
    }
    claim.end()
  }

  @Test("A segment that the server recycled is missed, before or after it was found")
  func recycled() throws {
    let cluster = try makeCluster()
    let mode = try BackupMode.begin(in: cluster.session(), label: "x")
    let claim = try WALReservation.take("s", in: cluster.session())
    try write(cluster, segments: 12)
    let ending = try mode.end()
    let wal = try examine(cluster, ending)
    let first = try #require(wal.segments.first)
    // Nobody keeps it any longer.
    claim.end()
    let other = try cluster.session()
    while try claim.state(asking: other) != .gone { Clock.sleep(milliseconds: 10) }
    try write(cluster, segments: 12)
    try cluster.sql("CHECKPOINT")
    let late = try #require(throws: StillError.self) { try wal.open(first) }
    #expect(late.status == .copying)
    #expect(
      late.message
        == "WAL segment \(first), which the backup needs, was recycled while it was copied")
    let early = try #require(throws: StillError.self) { try examine(cluster, ending) }
    #expect(early.message.contains("is no longer in"))
    #expect(early.hint?.contains("wal_keep_size") == true)
  }

  @Test("A segment with a strange page is none", arguments: [0, 8192, 9 * 8192])
  func damaged(_ offset: UInt64) throws {
    let cluster = try makeCluster()
    let mode = try BackupMode.begin(in: cluster.session(), label: "x")
    try write(cluster, segments: 3)
    let ending = try mode.end()
    let wal = try examine(cluster, ending)
    let second = wal.segments[1]
    let path = cluster.dataDirectory.pushing(FilePath("pg_wal/\(second)"))
    let file = try OpenFolder.open(path.removingLastComponent())
      .file(FilePath("\(second)"), .update(permissions: 0o600))
    // The page's address.
    try file.writeDurably([0xFF], at: offset + 8)
    let failure = try #require(throws: StillError.self) { try examine(cluster, ending) }
    #expect(failure.message.contains("\(second)"))
    #expect(failure.message.contains("holds something else at"))
  }
}
