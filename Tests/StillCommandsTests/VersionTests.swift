import StillEngine
import StillModel
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

/// Mode online on later versions than Debian's. Of 13 and 14, whose calls have other names, there is
/// no server to be had for tests.
@Suite struct VersionTests {
  private static let seventeen = ThrowAwayCluster.programs(ofVersion: 17)
  private static let eighteen = ThrowAwayCluster.programs(ofVersion: 18)

  @Test(
    "A backup of PostgreSQL 17 under load is whole",
    .enabled(if: seventeen != nil, "PostgreSQL 17 is not here; scripts/servers says why"))
  func onSeventeen() throws { try underLoad(17, #require(VersionTests.seventeen)) }

  @Test(
    "A backup of PostgreSQL 18 under load is whole",
    .enabled(if: eighteen != nil, "PostgreSQL 18 is not here; scripts/servers says why"))
  func onEighteen() throws { try underLoad(18, #require(VersionTests.eighteen)) }

  private func underLoad(_ major: Int, _ programs: FilePath) throws {
    let site = try OnlineSite(
      ["summarize_wal": "on", "archive_mode": "on", "archive_command": "'false'"],
      programs: programs)
    try site.fill()
    let load = try CounterLoad(site.cluster)
    let outcome = try site.backUp(slow: true)
    try load.end()
    #expect(outcome.status == 0, "\(outcome.talk)")
    let record = try site.published().record()
    #expect(record.server.version / 10000 == major)
    #expect(record.badPages == [])
    let online = try #require(record.online)
    #expect(online.hadSlot)

    let hands = try TestFolder(on: .memory, owner: FakeHost.owner)
    let byHand = try site.unpackByHand(into: hands)
    let manifest = try site.published().path.appending("backup_manifest").string
    #expect(
      try site.cluster.run("pg_verifybackup", ["-m", manifest, byHand.string])
        .contains("backup successfully verified"))

    let place = try TestFolder(on: .memory, owner: FakeHost.owner)
    let target = try site.restore(into: place)
    // The map is left out where the links lead elsewhere.
    #expect(
      try site.cluster.run(
        "pg_verifybackup", ["-i", "tablespace_map", "-m", manifest, target.string]
      )
      .contains("backup successfully verified"))
    let statuses = try OpenFolder.open(target).folder("pg_wal").folder("archive_status").names()
    #expect(statuses.map(\.string) == record.wal.segmentsKept.map { "\($0).done" }.sorted())
    let server = try RestoredServer(target, like: site.cluster)
    let found = try #require(Int64(server.sql("SELECT count(*) FROM counter")))
    let confirmed = load.confirmed(before: online.stop)
    #expect(confirmed > 50)
    #expect(found >= confirmed)
    #expect(try server.sql("SELECT max(n) FROM counter") == "\(found)")
    #expect(try server.sql("SELECT sum(n) FROM there") == "2001000")
    #expect(try server.sql("SELECT count(*) FROM here") == "43000")
    #expect(try server.sql("SELECT count(*) FROM volatile") == "0")
    try site.cluster.run("pg_ctl", ["stop", "-w", "-s", "-m", "fast", "-D", target.string])
    let sums = try site.cluster.run("pg_checksums", ["--check", "-D", target.string])
    #expect(sums.contains("Bad checksums:  0"))
  }

  @Test(
    "pg_verifybackup of PostgreSQL 18 reads the archives as they lie there",
    .enabled(if: eighteen != nil, "PostgreSQL 18 is not here; scripts/servers says why"))
  func archivesDirectly() throws {
    let site = try OnlineSite(programs: VersionTests.eighteen)
    #expect(try site.backUp(options: ["--compress", "none"]).status == 0)
    let backup = try site.published().path
    // backup.json is nobody's but ours; the WAL within tar archives pg_waldump cannot read.
    let words = ["--format", "tar", "-n", "-i", "backup.json", backup.string]
    #expect(
      try site.cluster.run("pg_verifybackup", words).contains("backup successfully verified"))

    let archive = try OpenFolder.open(backup).file("base.tar", .update(permissions: 0o600))
    var byte: [UInt8] = [0]
    let middle = try archive.metadata().size / 2
    _ = try byte.withUnsafeMutableBytes { try archive.readFully(into: $0, at: middle) }
    try archive.writeDurably([byte[0] ^ 1], at: middle)
    let complaint = try #require(throws: Trouble.self) {
      try site.cluster.run("pg_verifybackup", words)
    }
    #expect(complaint.description.contains("checksum mismatch"), "\(complaint)")
  }

  @Test(
    "A tablespace that comes and goes is found in the log of PostgreSQL 18",
    .enabled(if: eighteen != nil, "PostgreSQL 18 is not here; scripts/servers says why"))
  func passingTablespace() throws {
    let site = try OnlineSite(programs: VersionTests.eighteen)
    try site.fill()
    let outcome = try site.backUp {
      try site.cluster.makeTablespace("passing")
      try site.cluster.sql("DROP TABLESPACE passing")
    }
    #expect(outcome.status == 14, "\(outcome.talk)")
    #expect(outcome.talk.contains("(\(site.cluster.folder)/space-passing)"))
    try site.expectNothingLeft()
  }
}
