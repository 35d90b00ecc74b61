import FoundationEssentials
import StillModel
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

@Suite struct ControlFileTests {
  /// What pg_controldata prints, by its labels.
  private func printed(_ cluster: ThrowAwayCluster) throws -> [String: String] {
    var lines: [String: String] = [:]
    for line in try cluster.run("pg_controldata", [cluster.dataDirectory.string])
      .split(separator: "\n")
    {
      guard let colon = line.firstIndex(of: ":") else { continue }
      let value = line[line.index(after: colon)...].drop { $0 == " " }
      lines[String(line[..<colon])] = String(value)
    }
    return lines
  }

  private func bytes(_ cluster: ThrowAwayCluster) throws -> [UInt8] {
    try OpenFolder.open(cluster.dataDirectory).file("global/pg_control").readAll()
  }

  @Test func saysWhatPostgresSays() throws {
    let cluster = try ThrowAwayCluster(
      settings: [
        "max_connections": "27", "max_prepared_transactions": "5",
        "max_locks_per_transaction": "77",
      ], initdb: ["--data-checksums", "--wal-segsize=4"])
    try cluster.sql("CREATE TABLE t AS SELECT generate_series(1, 1000) AS i", "CHECKPOINT")
    try expectSame(cluster)
    try cluster.stop("fast")
    try expectSame(cluster)
    #expect(try ControlFile(bytes: bytes(cluster)).state.isShutDown)
  }

  @Test func aStandbyHasAMinimumRecoveryPoint() throws {
    let cluster = try ThrowAwayCluster()
    // What initdb wrote, with wal_level minimal, no standby replays.
    try cluster.stop()
    try cluster.runAsOwner("/bin/touch", [cluster.dataDirectory.appending("standby.signal").string])
    try cluster.start()
    try cluster.stop("immediate")
    try expectSame(cluster)
    let control = try ControlFile(bytes: bytes(cluster))
    #expect(control.state == .inArchiveRecovery)
    #expect(control.minimumRecoveryPoint != nil)
  }

  @Test func aPoisonedOneDiffersInTheCheckpointOnly() throws {
    let cluster = try ThrowAwayCluster(isStarted: false)
    let good = try bytes(cluster)
    let poisoned = try ControlFile.poisoned(good)
    #expect(poisoned.count == good.count)
    // Eight bytes of the checkpoint's position, four of the checksum.
    #expect(zip(good, poisoned).count { $0 != $1 } <= 12)
    let before = try printed(cluster)
    let file = try OpenFolder.open(cluster.dataDirectory)
      .file("global/pg_control", .update(permissions: 0o600))
    try file.writeAll(poisoned)
    try file.close()
    let after = try printed(cluster)
    #expect(after["Latest checkpoint location"] == "DEADBEEF/DEADBEEF")
    #expect(try ControlFile(bytes: poisoned).checkpoint == ControlFile.nowhere)
    let changed = before.keys.filter { before[$0] != after[$0] }
    #expect(changed == ["Latest checkpoint location"], "and the checksum is right")
    // XRecOffIsValid: a server looks for a record there, and does not take the file for damaged.
    #expect(ControlFile.nowhere.position % 8192 >= UInt64(WALPageHeader.shortSize))
    var torn = good
    torn[40] ^= 1
    #expect(throws: StillError.self) { try ControlFile.poisoned(torn) }
  }

  private func expectSame(_ cluster: ThrowAwayCluster) throws {
    let control = try ControlFile(bytes: bytes(cluster))
    let printed = try printed(cluster)
    let minimum = control.minimumRecoveryPoint ?? LSN(0)
    let expected: [(String, String)] = [
      ("pg_control version number", "\(control.controlVersion)"),
      ("Catalog version number", "\(control.catalogVersion)"),
      ("Database system identifier", "\(control.systemIdentifier)"),
      ("Database cluster state", control.state.text),
      ("Latest checkpoint location", "\(control.checkpoint)"),
      ("Latest checkpoint's REDO location", "\(control.redo)"),
      (
        "Latest checkpoint's REDO WAL file",
        WALSegmentName(
          timeline: control.timeline, holding: control.redo, size: control.walSegmentSize
        ).description
      ),
      ("Latest checkpoint's TimeLineID", "\(control.timeline)"),
      ("Latest checkpoint's PrevTimeLineID", "\(control.previousTimeline)"),
      ("Latest checkpoint's full_page_writes", control.fullPageWrites ? "on" : "off"),
      ("Minimum recovery ending location", "\(minimum)"),
      ("Min recovery ending loc's timeline", "\(control.minimumRecoveryTimeline)"),
      ("Database block size", "\(control.blockSize)"),
      ("WAL block size", "\(control.walBlockSize)"),
      ("Bytes per WAL segment", "\(control.walSegmentSize)"),
      ("Data page checksum version", "\(control.checksumVersion)"),
      ("max_connections setting", "\(control.limits.connections)"),
      ("max_prepared_xacts setting", "\(control.limits.preparedTransactions)"),
      ("max_locks_per_xact setting", "\(control.limits.locksPerTransaction)"),
    ]
    for (label, value) in expected {
      #expect(printed[label] == value, "\(label)")
    }
    let modified = try #require(printed["pg_control last modified"])
    let clock = String(control.modified.manifestStyle.dropFirst(11).prefix(8))
    #expect(modified.contains(clock), "LC_ALL=C and TZ=UTC print the time as hh:mm:ss")
  }

  @Test func anyDamagedByteIsNoticed() throws {
    let whole = try bytes(ThrowAwayCluster(isStarted: false))
    _ = try ControlFile(bytes: whole)
    let used = try #require(whole.lastIndex { $0 != 0 })
    for offset in 0...used {
      var damaged = whole
      damaged[offset] ^= 0x10
      let error = #expect(throws: StillError.self, "byte \(offset)") {
        try ControlFile(bytes: damaged)
      }
      #expect(error?.message.contains("checksum") == true)
    }
    for length in [0, 100, 511] {
      #expect(throws: StillError.self) { try ControlFile(bytes: Array(whole[..<length])) }
    }
    #expect(throws: StillError.self) { try ControlFile(bytes: [UInt8](repeating: 0, count: 8192)) }
  }

  @Test func theTablespaceFolderIsNamedByTheVersion() throws {
    let cluster = try ThrowAwayCluster()
    let place = try cluster.makeTablespace("extra")
    let control = try ControlFile(bytes: bytes(cluster))
    let names = try OpenFolder.open(place).names().map(\.string)
    let major = try #require(Int(cluster.sql("SHOW server_version_num"))) / 10000
    #expect(names == [control.tablespaceFolder(major: major)])
  }
}
