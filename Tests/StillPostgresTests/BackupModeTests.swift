import StillModel
import StillSystem
import StillTestSupport
import SystemPackage
import Synchronization
import Testing

@testable import StillPostgres

@Suite struct BackupModeTests {
  private func isBackupRunning(_ cluster: ThrowAwayCluster) throws -> Bool {
    try cluster.sql(
      """
      SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgstill'
        AND query LIKE '%pg_backup_start%' AND pid <> pg_backend_pid()
      """) != "0"
  }

  @Test func theLabelComesFromTheServerAsItIs() throws {
    let cluster = try ThrowAwayCluster()
    let place = try cluster.makeTablespace("extra")
    let mode = try BackupMode.begin(in: cluster.session(), label: "pgstill\u{e4}")
    #expect(try isBackupRunning(cluster))
    try cluster.sql("CREATE TABLE t AS SELECT 1 AS i")
    let ending = try mode.end()
    let label = try BackupLabel(ending.label)
    #expect(label.start == mode.start)
    #expect(label.timeline == 1 && !label.isFromStandby)
    #expect(ending.stop > mode.start)
    let text = String(decoding: ending.label, as: UTF8.self)
    #expect(text.contains("\nLABEL: pgstill\u{e4}\n"))
    #expect(text.hasSuffix("\n"))
    let oid = try cluster.sql("SELECT oid FROM pg_tablespace WHERE spcname = 'extra'")
    #expect(String(decoding: ending.tablespaceMap, as: UTF8.self) == "\(oid) \(place)\n")
    #expect(mode.lossOfMode() == nil)
    #expect(throws: StillError.self, "there is nothing more to end") { try mode.end() }
  }

  @Test func theSessionsEndIsSeenAndTold() throws {
    let cluster = try ThrowAwayCluster()
    let mode = try BackupMode.begin(in: cluster.session(), label: "x")
    let lost = Monitor(0)
    let other = try cluster.session()
    let watch = try SessionWatch([other, mode.session]) { index in
      lost.update { $0 = index + 1 }
    }
    #expect(mode.lossOfMode() == nil)
    try cluster.sql(
      """
      SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE query LIKE '%pg_backup_start%' AND pid <> pg_backend_pid()
      """)
    #expect(lost.wait { $0 == 0 ? nil : $0 } == 2, "the second of the two")
    watch.end()
    #expect(other.loss() == nil)
    let loss = try #require(mode.lossOfMode())
    #expect(loss.status == .postgres)
    #expect(loss.message.contains("the copy is worthless"))
    #expect(
      loss.message.contains("terminating connection due to administrator command"),
      "\(loss.message)")
    let failure = try #require(throws: StillError.self) { try mode.end() }
    #expect(failure.message.contains("the copy is worthless"))
  }

  @Test func aRoleIsToldWhichGrant() throws {
    let cluster = try ThrowAwayCluster()
    try cluster.sql("CREATE ROLE \"back up\" LOGIN IN ROLE pg_checkpoint, pg_read_all_settings")
    func session() throws -> Session { try cluster.session(user: "back up") }
    let facts = try session().facts()
    let planned = try #require(throws: StillError.self) { try BackupMode.requirePossible(facts) }
    let tried = try #require(throws: StillError.self) {
      try BackupMode.begin(in: session(), label: "x")
    }
    #expect(planned == tried)
    #expect(planned.status == .postgres)
    #expect(planned.message == "the role \"back up\" may not begin and end a backup")
    let hint = try #require(planned.hint)
    // What the hint says helps.
    let grant = try #require(hint.split(separator: "GRANT").last)
    try cluster.sql("GRANT" + grant)
    try BackupMode.requirePossible(session().facts())
    _ = try BackupMode.begin(in: session(), label: "x").end()

    let unreserved = try #require(throws: StillError.self) {
      try WALReservation.take("s", in: session())
    }
    #expect(unreserved.hint == "As a superuser: ALTER ROLE \"back up\" REPLICATION;")
    try cluster.sql("ALTER ROLE \"back up\" REPLICATION")
    _ = try WALReservation.take("s", in: session())
  }

  @Test func aServerThatWritesTooLittleWALIsRefused() throws {
    let cluster = try ThrowAwayCluster(settings: ["wal_level": "minimal", "max_wal_senders": "0"])
    let facts = try cluster.session().facts()
    let refusal = try #require(throws: StillError.self) { try BackupMode.requirePossible(facts) }
    #expect(refusal.status == .precondition)
    #expect(refusal.hint?.contains("wal_level = replica") == true)
    #expect(throws: StillError.self, "and so would the server") {
      try BackupMode.begin(in: cluster.session(), label: "x")
    }
  }

  @Test func aSlotHoldsTheLogUntilItsSessionEnds() throws {
    let cluster = try ThrowAwayCluster()
    let other = try cluster.session()
    let run = RunID(at: CalendarTime(secondsSince1970: 0))
    let name = WALReservation.name(for: run)
    let claim = try WALReservation.take(name, in: cluster.session())
    #expect(try claim.state(asking: other) == .held)
    #expect(
      try cluster.sql("SELECT slot_name || temporary::text || wal_status FROM pg_replication_slots")
        == "\(name)truereserved")
    claim.end()
    // The server needs a moment to see that the session is gone.
    while try claim.state(asking: other) != .gone { Clock.sleep(milliseconds: 10) }
    #expect(try cluster.sql("SELECT count(*) FROM pg_replication_slots") == "0")
  }

  @Test func aSlotThatTheServerGaveUpIsSeen() throws {
    let cluster = try ThrowAwayCluster(
      settings: ["max_slot_wal_keep_size": "1MB"],
      initdb: ["--wal-segsize=1"])
    let claim = try WALReservation.take("s", in: cluster.session())
    let writer = try cluster.session()
    for _ in 0..<6 {
      _ = try writer.query("SELECT pg_logical_emit_message(false, 'test', repeat('x', 900000))")
    }
    #expect(try claim.state(asking: writer) == .given(up: "unreserved"))
    // Then the server ends the session that holds the slot, to be rid of it
    // (InvalidateObsoleteReplicationSlots of slot.c).
    try cluster.sql("CHECKPOINT")
    #expect(try claim.state(asking: writer) == .gone)
    while claim.session.loss() == nil { Clock.sleep(milliseconds: 10) }
  }

  @Test(
    "Where there is no slot to be had, it says what has to change",
    arguments: [("0", "max_replication_slots = 10"), ("1", "Drop a slot that nobody uses")])
  func noSlot(_ count: String, _ hint: String) throws {
    let cluster = try ThrowAwayCluster(settings: ["max_replication_slots": count])
    if count == "1" { try cluster.sql("SELECT pg_create_physical_replication_slot('taken')") }
    let refusal = try #require(throws: StillError.self) {
      try WALReservation.take("s", in: cluster.session())
    }
    #expect(refusal.status == .postgres)
    #expect(refusal.hint?.contains(hint) == true, "\(refusal)")
  }

  @Test func aStatementEndsWhenTheRunIsToldTo() throws {
    let cluster = try ThrowAwayCluster()
    let session = try cluster.session()
    let cancellation = Cancellation()
    session.cancellation = cancellation
    let thread = try WorkerThread {
      Clock.sleep(milliseconds: 300)
      cancellation.cancel(.interrupted(by: 15))
    }
    let failure = try #require(throws: StillError.self) {
      try session.query("SELECT pg_sleep(600)")
    }
    thread.join()
    #expect(failure.signal == 15)
  }
}
