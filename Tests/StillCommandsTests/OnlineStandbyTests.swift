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

  @Test("A tablespace that its log creates, before the backup even, would be created again")
  func tablespaceInTheLog() throws {
    let primary = try OnlineSite()
    let standby = try OnlineSite(standbyOf: primary)
    // Restart points begin where the primary had a checkpoint.
    let place = try primary.cluster.makeTablespace("late")
    try primary.cluster.sql("DROP TABLESPACE late")
    try standby.catchUp(with: primary)
    let outcome = try standby.backUp()
    #expect(outcome.status == 14, "\(outcome.talk)")
    #expect(outcome.talk.contains("tablespaces were created, dropped or moved"))
    #expect(outcome.talk.contains("(\(place))"))
    #expect(outcome.talk.contains("of a standby, after the next CHECKPOINT of its primary"))
    try standby.expectNothingLeft()
    try primary.cluster.sql("CHECKPOINT")
    try standby.catchUp(with: primary)
    let second = try standby.backUp()
    #expect(second.status == 0, "\(second.talk)")
    // The last segment is not whole: a server that is restored goes on in it.
    let folder = try TestFolder(on: .memory, owner: FakeHost.owner)
    let target = try standby.restore(into: folder)
    let kept = try standby.published().record().wal.segmentsKept
    let names = try OpenFolder.open(target).folder("pg_wal").folder("archive_status").names()
    #expect(names.map(\.string) == kept.dropLast().map { "\($0).done" })
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

  @Test("A timeline that ends meanwhile, because the primary's standby was promoted, is followed")
  func timelineChanges() throws {
    let first = try OnlineSite()
    try first.fill()
    let second = try OnlineSite(standbyOf: first)
    let last = try OnlineSite(standbyOf: second)
    let outcome = try last.backUp {
      try second.cluster.promote()
      try second.cluster.sql("INSERT INTO there VALUES (0)", "SELECT pg_switch_wal()")
      try second.cluster.sql("INSERT INTO there VALUES (0)", "CHECKPOINT")
      try last.catchUp(with: second)
      // A standby's stop is how far its files have come.
      try last.cluster.sql("CHECKPOINT")
    }
    #expect(outcome.status == 0, "\(outcome.talk)")
    let backup = try last.published()
    let record = try backup.record()
    #expect(record.server.timeline == 1, "where it began")
    let timelines = Set(record.wal.segmentsKept.map { $0.prefix(8) })
    #expect(timelines == ["00000001", "00000002"])
    let manifest = backup.path.appending("backup_manifest").string
    let text = try Tool.demand("cat", manifest)
    #expect(text.contains("\"Timeline\": 2") && text.contains("\"Timeline\": 1"))

    let place = try TestFolder(on: .memory, owner: FakeHost.owner)
    let target = try last.restore(into: place)
    #expect(
      try last.cluster.run(
        "pg_verifybackup", ["-i", "tablespace_map", "-m", manifest, target.string]
      ).contains("backup successfully verified"))
    // As a standby, which follows the timelines; with nobody to follow further.
    try OpenFolder.open(target).remove("standby.signal")
    try last.cluster.runAsOwner("/bin/touch", [target.appending("recovery.signal").string])
    try last.cluster.runAsOwner(
      "/bin/sh",
      [
        "-c",
        "echo \"restore_command = 'false'\nprimary_conninfo = ''\" >>\(target)/postgresql.conf",
      ])
    let server = try RestoredServer(target, like: last.cluster)
    for _ in 0..<200 where try server.sql("SELECT pg_is_in_recovery()") == "t" {
      Clock.sleep(milliseconds: 50)
    }
    #expect(try server.sql("SELECT count(*) FROM there WHERE n = 0") == "2")
    #expect(try server.sql("SELECT count(*) FROM here") == "43000")
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
