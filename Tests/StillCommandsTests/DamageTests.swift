import Foundation
import StillArchive
import StillModel
import StillTestSupport
import SystemPackage
import Testing

/// Damaged backups: `verify` names what is wrong, `restore` refuses and says so.
@Suite struct DamageTests {
  private let site: Site

  init() throws { site = try Site.shared.get() }

  @Test("An archive that was cut short", arguments: Site.compressions, ["base", "pg_wal"])
  func cutShort(_ compression: Compression, _ stem: String) throws {
    let damaged = try Damaged(site, compression)
    let name = try damaged.archive(stem)
    try damaged.cut(name, to: 0.6)
    let problems = try damaged.problems()
    #expect(problems.contains { $0.contains(name) })
    let refusal = try damaged.restoreFailure()
    #expect(refusal.message.contains(name))
    #expect(refusal.hint != nil)
    #expect(refusal.phase == "unpacking")
  }

  @Test("An archive that is cut at a member's end", arguments: ["base", "pg_wal"])
  func cutAtMember(_ stem: String) throws {
    // Half a plain tar, at a whole record: nothing but the end is missing.
    let damaged = try Damaged(site, .none)
    let name = try damaged.archive(stem)
    let url = URL(filePath: damaged.backup.appending(name).string)
    let bytes = try Data(contentsOf: url)
    try bytes.dropLast(1024).write(to: url)
    #expect(try damaged.problems().contains { $0.contains(name) })
    #expect(try damaged.restoreFailure().message.contains(name))
  }

  @Test("An archive that is not there")
  func missing() throws {
    let damaged = try Damaged(site)
    let name = try damaged.archive("base")
    try FileManager.default.removeItem(atPath: damaged.backup.appending(name).string)
    #expect(try damaged.problems().contains { $0.contains(name) })
    #expect(try damaged.restoreFailure().message.contains(name))
  }

  @Test("An archive that is empty")
  func empty() throws {
    let damaged = try Damaged(site)
    let name = try damaged.archive("base")
    try damaged.cut(name, to: 0)
    #expect(try damaged.problems().contains { $0.contains(name) })
    #expect(try damaged.restoreFailure().message.contains(name))
  }

  @Test(
    "A byte that was changed anywhere is found, in every archive", arguments: Site.compressions,
    [0.0, 0.35, 0.6, 1.0])
  func byte(_ compression: Compression, _ share: Double) throws {
    let damaged = try Damaged(site, compression)
    for archive in damaged.record.archives {
      let last = Int(archive.bytesWritten) - 1
      try damaged.changeByte(archive.name, at: Int(Double(last) * share))
    }
    let problems = try damaged.problems()
    for archive in damaged.record.archives {
      #expect(problems.contains { $0.contains(archive.name) }, "\(archive.name)")
    }
  }

  @Test(
    "A byte that was changed in what a server reads keeps a restore from succeeding",
    arguments: Site.compressions, ["base", "pg_wal"])
  func byteInContent(_ compression: Compression, _ stem: String) throws {
    let damaged = try Damaged(site, compression)
    let name = try damaged.archive(stem)
    let size = try #require(damaged.record.archives.first { $0.name == name }).bytesWritten
    try damaged.changeByte(name, at: Int(size) / 2)
    let refusal = try damaged.restoreFailure()
    #expect(refusal.message.contains(name))
    #expect(refusal.hint != nil)
  }

  @Test("A byte that is no content does not cost a restore, and is told")
  func byteOfNothing() throws {
    let damaged = try Damaged(site)
    let name = try damaged.archive("base")
    let size = try #require(damaged.record.archives.first { $0.name == name }).bytesWritten
    // Of the index behind the frames.
    try damaged.changeByte(name, at: Int(size) - 2)
    #expect(try damaged.problems().contains { $0.contains("\(name) was changed") })
    let target = damaged.place.path.appending("target")
    let old = try #require(damaged.record.tablespaces.first).target
    let outcome = try PgstillProgram.run([
      "restore", damaged.id, "--repo", damaged.repository, "--target", target.string,
      "--tablespace-mapping", "\(old)=\(target)-space", "--json",
    ])
    #expect(outcome.status == 3, "\(outcome.talk)")
    #expect(try document(outcome)["changedArchives"] as? [String] == [name])
    let control = target.pushing("global/pg_control").string
    #expect(FileManager.default.fileExists(atPath: control))
  }

  @Test("A byte in a tablespace's archive")
  func tablespace() throws {
    let damaged = try Damaged(site, .none)
    let oid = try #require(damaged.record.tablespaces.first).oid
    let name = try damaged.archive("\(oid)")
    try damaged.changeByte(name, at: 20_000)
    #expect(try damaged.problems().contains { $0.contains(name) })
    #expect(try damaged.restoreFailure().message.contains(name))
  }

  @Test("A manifest that was changed")
  func manifest() throws {
    let damaged = try Damaged(site)
    try damaged.replace("backup_manifest", "\"Size\": 3,", "\"Size\": 4,")
    #expect(try damaged.problems().contains { $0.contains("backup_manifest") })
    let refusal = try damaged.restoreFailure()
    #expect(refusal.message.contains("backup_manifest"))
    #expect(refusal.hint != nil)
  }

  @Test("A manifest of another backup")
  func otherManifest() throws {
    let damaged = try Damaged(site)
    let other = try site.result(.none).path.appending("backup_manifest").string
    try Tool.demand("cp", other, damaged.backup.appending("backup_manifest").string)
    #expect(
      try damaged.problems().contains {
        $0.contains("backup_manifest is not the one of this backup")
      })
    let refusal = try damaged.restoreFailure()
    #expect(refusal.message.contains("backup_manifest is not the one of this backup"))
  }

  @Test("A manifest that is not there")
  func noManifest() throws {
    let damaged = try Damaged(site)
    try FileManager.default.removeItem(atPath: "\(damaged.backup)/backup_manifest")
    #expect(try damaged.problems().contains { $0.contains("backup_manifest") })
    #expect(try damaged.restoreFailure().message.contains("backup_manifest"))
  }

  @Test(
    "A record that was changed",
    arguments: [
      ("\"cluster\" : \"main\"", "\"cluster\" : \"mine\""), ("\"sha256\" : \"", "\"sha256\" : \"0"),
    ])
  func record(_ old: String, _ new: String) throws {
    let damaged = try Damaged(site)
    try damaged.replace("backup.json", old, new)
    #expect(try damaged.problems().contains { $0.contains("backup.json was changed") })
    let refusal = try damaged.restoreFailure()
    #expect(refusal.message.contains("backup.json was changed"))
    #expect(refusal.hint != nil)
    let shown = try refused(["show", damaged.id, "--repo", damaged.repository], 14)
    #expect(shown.message.contains("backup.json was changed"))
  }

  @Test("A record that was cut short or is not there", arguments: [0.5, 0.0, -1])
  func shortRecord(_ share: Double) throws {
    let damaged = try Damaged(site)
    if share < 0 {
      try FileManager.default.removeItem(atPath: "\(damaged.backup)/backup.json")
    } else {
      try damaged.cut("backup.json", to: share)
    }
    #expect(try damaged.problems().contains { $0.contains("backup.json") })
    #expect(try damaged.restoreFailure().message.contains("backup.json"))
  }

  @Test("A file that does not belong there is named")
  func stranger() throws {
    let damaged = try Damaged(site)
    try Tool.demand("cp", "/etc/passwd", "\(damaged.backup)/passwd")
    #expect(try damaged.problems() == ["passwd does not belong to this backup"])
  }

  @Test("Of all backups, the damaged one is named and the others are good")
  func all() throws {
    let damaged = try Damaged(site)
    for compression in Site.compressions where compression != .zstd(level: 1) {
      let from = try site.result(compression).path.string
      try Tool.demand("cp", "-a", from, "\(damaged.repository)/main/")
    }
    try damaged.changeByte(try damaged.archive("base"), at: 100_000)
    let words = ["verify", "--all", "--repo", damaged.repository, "--progress", "none"]
    let outcome = try PgstillProgram.run(words)
    #expect(outcome.status == 14)
    let lines = outcome.output.split(separator: "\n").filter { !$0.hasPrefix(" ") }
    #expect(lines.count == 3)
    #expect(lines.filter { $0.hasPrefix("BAD ") }.map { $0.contains(damaged.id) } == [true])
    let found = try document(PgstillProgram.run(words + ["--json"]))["backups"] as? [[String: Any]]
    #expect(found?.count { ($0["problems"] as? [Any])?.isEmpty == true } == 2)
  }
}
