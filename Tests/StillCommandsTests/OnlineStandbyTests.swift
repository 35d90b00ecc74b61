import StillEngine
import StillModel
import StillPostgres
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

/// Backups of a standby: the server switches no segment, and the stop is its minimum recovery point.
@Suite struct OnlineStandbyTests {
  /// Starts the restored data directory as a server of its own.
  private func startAlone(_ target: FilePath, _ site: OnlineSite) throws -> RestoredServer {
    try OpenFolder.open(target).remove("standby.signal")
    return try RestoredServer(target, like: site.cluster)
  }

  @Test("Of a standby that replays a writing load")
  func underLoad() throws {
    let primary = try OnlineSite()
    let standby = try OnlineSite(standbyOf: primary)
    try primary.fill()
    let load = try CounterLoad(primary.cluster)
    let outcome = try standby.backUp(slow: true)
    try load.end()
    #expect(outcome.status == 0, "\(outcome.talk)")
    let record = try standby.published().record()
    #expect(record.server.isStandby)
    #expect(record.badPages == [])
    let online = try #require(record.online)
    #expect(online.hadSlot, "a standby has slots as well")
    #expect(try standby.cluster.sql("SELECT count(*) FROM pg_replication_slots") == "0")

    let place = try TestFolder(on: .memory, owner: FakeHost.owner)
    let target = try standby.restore(into: place)
    let label = try OpenFolder.open(target).file("backup_label").readAll()
    #expect(try BackupLabel(label).isFromStandby)
    let server = try startAlone(target, standby)
    let found = try #require(Int64(server.sql("SELECT count(*) FROM counter")))
    let replayed = load.confirmed(before: online.stop)
    #expect(replayed > 0)
    #expect(found >= replayed)
    #expect(try server.sql("SELECT COALESCE(max(n), 0) FROM counter") == "\(found)")
    #expect(try server.sql("SELECT count(*) FROM here") == "43000")
    let log = try Tool.demand("cat", server.log.string)
    #expect(log.contains("consistent recovery state reached at "), "\(log)")
    #expect(!log.contains("PANIC") && !log.contains("FATAL"))
    _ = try server.sql("CREATE EXTENSION amcheck")
    try standby.cluster.run(
      "pg_amcheck",
      ["-h", server.socketFolder.string, "-p", "5432", "--heapallindexed", "postgres"])
  }

  @Test("Of a standby that nobody writes to")
  func idle() throws {
    let primary = try OnlineSite()
    let standby = try OnlineSite(standbyOf: primary)
    let outcome = try standby.backUp()
    #expect(outcome.status == 0, "\(outcome.talk)")
    let place = try TestFolder(on: .memory, owner: FakeHost.owner)
    let target = try standby.restore(into: place)
    let manifest = try standby.published().path.appending("backup_manifest").string
    // The map is left out where tablespaces have moved.
    let check = try standby.cluster.run(
      "pg_verifybackup", ["-i", "tablespace_map", "-m", manifest, target.string])
    #expect(check.contains("backup successfully verified"))
    let server = try startAlone(target, standby)
    #expect(try server.sql("SELECT count(*) FROM here") == "3000")
    #expect(try server.sql("SELECT sum(n) FROM there") == "2001000")
  }

  @Test("A standby that is promoted meanwhile says so, and nothing is published")
  func promoted() throws {
    let primary = try OnlineSite()
    try primary.fill()
    let standby = try OnlineSite(standbyOf: primary)
    let outcome = try standby.backUp { try standby.cluster.promote() }
    #expect(outcome.status == 12, "\(outcome.talk)")
    #expect(outcome.talk.contains("the standby was promoted during online backup"))
    try standby.expectNothingLeft()
  }

  @Test("After a promotion the backup is of the new timeline, with its history")
  func afterPromotion() throws {
    let primary = try OnlineSite()
    let standby = try OnlineSite(standbyOf: primary)
    try standby.cluster.promote()
    try standby.cluster.sql("INSERT INTO there VALUES (0)")
    let outcome = try standby.backUp()
    #expect(outcome.status == 0, "\(outcome.talk)")
    let record = try standby.published().record()
    #expect(record.server.timeline == 2)
    #expect(record.wal.segmentsKept.allSatisfy { $0.hasPrefix("00000002") })
    let place = try TestFolder(on: .memory, owner: FakeHost.owner)
    let target = try standby.restore(into: place)
    let names = try OpenFolder.open(target).folder("pg_wal").names().map(\.string)
    #expect(names.contains("00000002.history"))
    let server = try RestoredServer(target, like: standby.cluster)
    #expect(try server.sql("SELECT count(*) FROM there") == "2001")
  }
}
