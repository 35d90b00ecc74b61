import Foundation
import StillEngine
import StillModel
import StillPostgres
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

/// `backup --consistency online` as the command, on a real server that lies on no logical volume.
@Suite struct OnlineTests {
  @Test("Under a writing load the backup has everything that was confirmed before its end")
  func underLoad() throws {
    let site = try OnlineSite()
    let load = try CounterLoad(site.cluster)
    let outcome = try site.backUp(slow: true)
    try load.end()
    #expect(outcome.status == 0, "\(outcome.talk)")
    #expect(!outcome.talk.contains("slot"), "nothing to tell of the slot")
    let record = try site.published().record()
    #expect(record.consistency == .online)
    #expect(record.freeze == nil && record.fillHistory == [])
    let online = try #require(record.online)
    #expect(online.hadSlot && online.start < online.stop)
    #expect(record.badPages == [])
    #expect(
      record.phases.map(\.name) == ["discover", "plan", "begin", "copy"])

    let place = try TestFolder(on: .memory, owner: FakeHost.owner)
    let target = try site.restore(into: place)
    let server = try RestoredServer(target, like: site.cluster)
    let found = try #require(Int64(server.sql("SELECT count(*) FROM counter")))
    let confirmed = load.confirmed(before: online.stop)
    #expect(confirmed > 50)
    #expect(found >= confirmed, "what was confirmed before the end is there")
    #expect(try server.sql("SELECT max(n) FROM counter") == "\(found)", "and without a hole")
    #expect(try server.sql("SELECT sum(n) FROM there") == "2001000")
    #expect(try server.sql("SELECT count(*) FROM here") == "3000")
    #expect(try server.sql("SELECT count(*) FROM volatile") == "0", "empty after recovery")
    #expect(
      try server.sql("SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE oid > 16383")
        == "\(place.path)/space", "not where the map would put it back to")
    #expect(try server.sql("SELECT count(*) FROM pg_replication_slots") == "0")
    #expect(try server.sql("SELECT pg_is_in_recovery()") == "f")
    let log = try Tool.demand("cat", server.log.string)
    #expect(log.contains("consistent recovery state reached at \(online.stop)"), "\(log)")
    #expect(!log.contains("PANIC") && !log.contains("FATAL"))

    _ = try server.sql("CREATE EXTENSION amcheck")
    try site.cluster.run(
      "pg_amcheck",
      ["-h", server.socketFolder.string, "-p", "5432", "--heapallindexed", "postgres"])
    try site.cluster.run("pg_ctl", ["stop", "-w", "-s", "-m", "fast", "-D", target.string])
    let sums = try site.cluster.run("pg_checksums", ["--check", "-D", target.string])
    #expect(sums.contains("Bad checksums:  0"))
  }

  @Test("Nothing of the live files is read after the end of backup mode, whose log the backup has")
  func readBeforeTheEnd() throws {
    let site = try OnlineSite()
    // The last file of all, but for the control file.
    let last = "\(site.cluster.dataDirectory)/zz-last"
    func write(_ letter: String) throws {
      try Tool.demand(
        "sh", "-c",
        """
        head -c 300000 /dev/zero | tr '\\0' "$1" | dd of="$2" conv=notrunc status=none
        chmod 644 "$2"
        """,
        "sh", letter, last)
    }
    try write("o")
    let held = try HeldProgram(site.words(), at: "copied", in: site.place)
    try write("n")
    let ended = try held.goOn()
    #expect(ended.status == 0, "\(ended.talk)")
    let place = try TestFolder(on: .memory, owner: FakeHost.owner)
    let target = try site.restore(into: place)
    let found = try OpenFile.open(target.appending("zz-last")).readAll()
    #expect(Set(found) == [UInt8(ascii: "o")])
  }

  @Test("PostgreSQL's own tools take the archives; without backup_label no server starts on them")
  func byHand() throws {
    let site = try OnlineSite()
    #expect(try site.backUp().status == 0)
    let place = try TestFolder(on: .memory, owner: FakeHost.owner)
    let target = try site.unpackByHand(into: place)
    let manifest = try site.published().path.appending("backup_manifest").string
    let check = try site.cluster.run(
      "pg_verifybackup", ["-m", manifest, target.string])
    #expect(check.contains("backup successfully verified"))

    let folder = try OpenFolder.open(target)
    let label = try folder.file("backup_label").readAll()
    #expect(String(decoding: label, as: UTF8.self).contains("LABEL: pgstill "))
    let map = String(decoding: try folder.file("tablespace_map").readAll(), as: UTF8.self)
    #expect(map.hasSuffix(" \(site.tablespace)\n"))

    // The tablespace belongs to the live cluster where the map leads.
    try folder.remove("tablespace_map")
    try folder.rename("backup_label", to: "label.kept")
    let failure = try #require(throws: Trouble.self) {
      try RestoredServer(target, like: site.cluster)
    }
    #expect(
      failure.description.contains("could not locate a valid checkpoint record"), "\(failure)")
    try folder.rename("label.kept", to: "backup_label")
    let server = try RestoredServer(target, like: site.cluster)
    #expect(try server.sql("SELECT count(*) FROM there") == "2000")
  }

  @Test("A restore without a mapping leaves label and map as the server made them")
  func map() throws {
    let site = try OnlineSite()
    #expect(try site.backUp().status == 0)
    // The old cluster is gone, its tablespace's folder empty.
    try site.cluster.stop()
    try Tool.demand("sh", "-c", "rm -rf \(site.tablespace)/*")
    let place = try TestFolder(on: .memory, owner: FakeHost.owner)
    let target = place.path.appending("data")
    let outcome = try PgstillProgram.run([
      "restore", "latest", "--repo", site.repository, "--target", target.string,
    ])
    #expect(outcome.status == 0, "\(outcome.talk)")
    let manifest = try site.published().path.appending("backup_manifest").string
    #expect(
      try site.cluster.run("pg_verifybackup", ["-m", manifest, target.string])
        .contains("backup successfully verified"))
    let server = try RestoredServer(target, like: site.cluster)
    #expect(try server.sql("SELECT count(*) FROM there") == "2000")
  }

  @Test("A damaged page is named, and ends with status 3")
  func damagedPage() throws {
    let site = try OnlineSite()
    let path = try site.cluster.sql("SELECT pg_relation_filepath('here')")
    try site.cluster.stop()
    let table = site.cluster.dataDirectory.pushing(FilePath(path))
    let file = try OpenFolder.open(table.removingLastComponent())
      .file(FilePath(root: nil, table.components.suffix(1)), .update(permissions: 0o600))
    try file.writeDurably([0x55, 0xAA], at: 7 * 8192 + 5000)
    try file.writeDurably([0x55, 0xAA], at: 30 * 8192 + 8190)
    // The page's own position, far ahead of the server's.
    try file.writeDurably([0x55, 0xAA], at: 41 * 8192)
    try site.cluster.start()
    let outcome = try site.backUp()
    #expect(outcome.status == 3, "\(outcome.talk)")
    #expect(outcome.talk.contains("\(path): 3 bad pages, blocks 7, 30, 41"), "\(outcome.talk)")
    let record = try site.published().record()
    #expect(record.badPages == [BadPages(file: path, blocks: [7, 30, 41])])
    let backup = try #require(try document(outcome)["backup"] as? [String: Any])
    let bad = try #require(backup["badPages"] as? [[String: Any]])
    #expect(bad.first?["file"] as? String == path)
    #expect(bad.first?["blocks"] as? [Int] == [7, 30, 41])
    let shown = try PgstillProgram.run(["show", "latest", "--repo", site.repository])
    #expect(shown.output.contains("\(path): 3 bad pages, blocks 7, 30, 41"))
  }

  @Test(
    "A session that is lost ends the backup, and nothing is left",
    arguments: [
      ("pg_backup_start($1", "kept the server in backup mode"),
      ("pg_create_physical_replication_slot($1", "kept WAL from recycling"),
    ])
  func sessionLost(_ query: String, _ words: String) throws {
    let site = try OnlineSite()
    try site.fill()
    let outcome = try site.backUp {
      try site.cluster.sql(
        """
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE position('\(query)' IN query) > 0 AND pid <> pg_backend_pid()
        """)
    }
    #expect(outcome.status == 12, "\(outcome.talk)")
    let error = try #require(try document(outcome)["error"] as? [String: Any])
    let message = try #require(error["message"] as? String)
    #expect(message.contains(words), "\(message)")
    #expect(message.contains("terminating connection due to administrator command"))
    #expect(error["phase"] as? String == "copying")
    try site.expectNothingLeft()
  }

  @Test("A tablespace that is made or dropped meanwhile is noticed", arguments: [true, false])
  func tablespaceChanges(isNew: Bool) throws {
    let site = try OnlineSite()
    try site.fill()
    if !isNew { try site.cluster.makeTablespace("old") }
    let outcome = try site.backUp {
      if isNew {
        try site.cluster.makeTablespace("newcomer")
      } else {
        try site.cluster.sql("DROP TABLESPACE old")
      }
    }
    #expect(outcome.status == 14, "\(outcome.talk)")
    #expect(
      outcome.talk.contains("tablespaces were created, dropped or moved while they were copied"))
    #expect(outcome.talk.contains(isNew ? "newcomer" : "old"))
    #expect(outcome.talk.contains("hint: Run the backup again."))
    try site.expectNothingLeft()
  }

  @Test("A tablespace that is made and dropped meanwhile is noticed", arguments: [false, true])
  func passingTablespace(inPlace: Bool) throws {
    let site = try OnlineSite()
    try site.fill()
    let outcome = try site.backUp {
      if inPlace {
        try site.cluster.sql(
          "SET allow_in_place_tablespaces = on", "CREATE TABLESPACE passing LOCATION ''",
          "DROP TABLESPACE passing")
      } else {
        let place = try site.cluster.makeTablespace("passing")
        try site.cluster.sql("DROP TABLESPACE passing")
        try Tool.demand("rm", "-r", place.string)
      }
    }
    #expect(outcome.status == 14, "\(outcome.talk)")
    #expect(
      outcome.talk.contains("tablespaces were created, dropped or moved while they were copied"))
    let place = inPlace ? "in the data directory" : "\(site.cluster.folder)/space-passing"
    #expect(outcome.talk.contains("(\(place))"), "\(outcome.talk)")
    #expect(outcome.talk.contains("hint: Run the backup again"))
    try site.expectNothingLeft()
  }

  @Test("Whole segments are marked as archived, one that will be written to is not")
  func archiveStatus() throws {
    let site = try OnlineSite(["archive_mode": "on", "archive_command": "'false'"])
    try site.fill()
    let outcome = try site.backUp {
      let session = try site.cluster.session()
      for _ in 0..<3 { _ = try session.query("SELECT pg_switch_wal(), txid_current()") }
    }
    #expect(outcome.status == 0, "\(outcome.talk)")
    let record = try site.published().record()
    #expect(record.wal.segmentsKept.count >= 3)
    let place = try TestFolder(on: .memory, owner: FakeHost.owner)
    let target = try site.restore(into: place)
    let names = try OpenFolder.open(target).folder("pg_wal").folder("archive_status").names()
    // The end of backup mode switched away from the last one.
    #expect(names.map(\.string) == record.wal.segmentsKept.map { "\($0).done" }.sorted())
  }

  @Test("Without a slot a backup is made, and says so; WAL that was recycled meanwhile is missed")
  func withoutSlot() throws {
    let site = try OnlineSite([
      "max_replication_slots": "0", "wal_keep_size": "0", "min_wal_size": "2MB",
      "max_wal_size": "4MB",
    ])
    let good = try site.backUp()
    #expect(good.status == 0, "\(good.talk)")
    #expect(good.talk.contains("no replication slot keeps the WAL"))
    #expect(good.talk.contains("max_replication_slots = 10"))
    #expect(try site.published().record().online?.hadSlot == false)

    try site.fill()
    let outcome = try site.backUp {
      let session = try site.cluster.session()
      for _ in 0..<12 {
        _ = try session.query("SELECT pg_logical_emit_message(false, 'test', repeat('x', 900000))")
      }
      _ = try session.query("CHECKPOINT")
    }
    #expect(outcome.status == 14, "\(outcome.talk)")
    #expect(outcome.talk.contains("WAL segment "))
    #expect(outcome.talk.contains(", which the backup needs, is no longer in "))
    #expect(outcome.talk.contains("wal_keep_size"))
    #expect(try Repository.open(FilePath(site.repository)).cluster("main").backups().count == 1)
  }

  @Test("With a slot the same load loses nothing")
  func withSlot() throws {
    let site = try OnlineSite(["wal_keep_size": "0", "min_wal_size": "2MB", "max_wal_size": "4MB"])
    try site.fill()
    let outcome = try site.backUp {
      let session = try site.cluster.session()
      for _ in 0..<12 {
        _ = try session.query("SELECT pg_logical_emit_message(false, 'test', repeat('x', 900000))")
      }
      _ = try session.query("CHECKPOINT")
    }
    #expect(outcome.status == 0, "\(outcome.talk)")
    let record = try site.published().record()
    #expect(record.wal.segmentsKept.count >= 11)
    let place = try TestFolder(on: .memory, owner: FakeHost.owner)
    let server = try RestoredServer(site.restore(into: place), like: site.cluster)
    #expect(try server.sql("SELECT count(*) FROM here") == "43000")
  }

  @Test("A role that is no superuser needs four rights, and is told each")
  func rights() throws {
    let site = try OnlineSite()
    try site.cluster.sql("CREATE ROLE keeper LOGIN IN ROLE pg_checkpoint, pg_read_all_settings")
    let refusal = try refused(
      site.words(), 12, environment: site.environment(user: "keeper"))
    #expect(refusal.message == "the role \"keeper\" may not begin and end a backup")
    let grant = try #require(refusal.hint?.split(separator: "GRANT").last)
    try site.cluster.sql("GRANT" + grant, "ALTER ROLE keeper REPLICATION")
    let outcome = try site.backUp(user: "keeper")
    #expect(outcome.status == 0, "\(outcome.talk)")
    #expect(!outcome.talk.contains("slot"))
    #expect(try site.published().record().online?.hadSlot == true)
  }

  @Test("A server that writes too little WAL is refused in every mode that it is chosen for")
  func walLevel() throws {
    let site = try OnlineSite(["wal_level": "minimal", "max_wal_senders": "0"])
    let refusal = try refused(site.words(), 11, environment: site.environment())
    #expect(refusal.message.hasPrefix("wal_level is minimal"))
    #expect(refusal.hint?.contains("wal_level = replica") == true)
    // Where nobody asked for it, it also says why it is not a better one.
    let words = site.words().map { $0 == "online" ? "auto" : $0 }
    let outcome = try PgstillProgram.run(words, environment: site.environment())
    #expect(outcome.status == 11)
    #expect(outcome.talk.contains("wal_level is minimal"))
    #expect(outcome.talk.contains("also: \(site.cluster.dataDirectory) is on "), "\(outcome.talk)")
  }
}
