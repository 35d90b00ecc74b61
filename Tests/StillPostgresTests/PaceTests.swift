import StillModel
import StillPostgres
import StillTestSupport
import SystemPackage
import Testing

/// What a server says of its own writing.
@Suite struct PaceTests {
  private static let seventeen = ThrowAwayCluster.programs(ofVersion: 17)
  private static let eighteen = ThrowAwayCluster.programs(ofVersion: 18)

  @Test("The settings come in seconds and in bytes")
  func pace() throws {
    let cluster = try ThrowAwayCluster(
      settings: [
        "checkpoint_timeout": "'2min'", "max_wal_size": "'1GB'", "wal_keep_size": "'64MB'",
        "checkpoint_completion_target": "0.75",
      ], initdb: ["--wal-segsize=1"])
    #expect(
      try cluster.session().pace()
        == ServerPace(
          checkpointSeconds: 120, completionTarget: 0.75, mostWAL: 1 << 30, keptWAL: 64 << 20,
          segmentSize: 1 << 20))
  }

  @Test("PostgreSQL 15 or what is here counts at least what a checkpoint writes")
  func newest() throws { try counts(nil) }

  @Test(
    "PostgreSQL 17 does",
    .enabled(if: seventeen != nil, "PostgreSQL 17 is not here; scripts/servers says why"))
  func onSeventeen() throws { try counts(PaceTests.seventeen) }

  @Test(
    "PostgreSQL 18 does",
    .enabled(if: eighteen != nil, "PostgreSQL 18 is not here; scripts/servers says why"))
  func onEighteen() throws { try counts(PaceTests.eighteen) }

  private func counts(_ programs: FilePath?) throws {
    let cluster = try ThrowAwayCluster(
      settings: ["autovacuum": "off", "checkpoint_timeout": "1h"], programs: programs)
    let session = try cluster.session()
    let before = try session.bytesWritten()
    // 4.5 MB of pages.
    try cluster.sql("CREATE TABLE t AS SELECT generate_series(1, 125000) AS n", "CHECKPOINT")
    // The statistics come a moment later; a server that never counts them lets this test wait for ever.
    while try session.bytesWritten() < before + 4_000_000 {
      _ = try session.query("SELECT pg_catalog.pg_sleep(0.05)")
    }
    #expect(try session.bytesWritten() - before < 40_000_000)
  }
}
