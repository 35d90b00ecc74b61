import Foundation
import StillModel
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

/// `restore --force-delta`: what was is brought to what is in the backup.
@Suite struct DeltaTests {
  @Test("After changes of all kinds the result is that of a restore to an empty place")
  func everything() throws {
    let changed = try ChangedCluster()
    try changed.disturb()
    let outcome = try changed.restore()
    #expect(outcome.status == 0, "\(outcome.talk)")
    try changed.expectAsFresh()
    // What is another cluster's in the tablespace's folder stays.
    let other = changed.site.tablespace.pushing("PG_9.6_201608131/file").string
    #expect(try String(contentsOfFile: other, encoding: .utf8) == "old\n")

    let record = try changed.site.published().record()
    let found = try document(outcome)
    let delta = try #require(found["delta"] as? [String: Any])
    let kept = try #require(delta["keptFiles"] as? Int)
    #expect(kept > record.files / 2, "\(kept) of \(record.files)")
    #expect(try #require(found["files"] as? Int) + kept == record.files)
    #expect(try #require(delta["removedFiles"] as? Int) > 5)

    try changed.site.cluster.start()
    #expect(try changed.site.cluster.sql("SELECT count(*) FROM here") == "3000")
    #expect(try changed.site.cluster.sql("SELECT count(*) FROM there") == "2000")
    #expect(try changed.site.cluster.sql("SELECT to_regclass('later') IS NULL") == "t")
  }

  @Test("Where nothing differs nearly nothing is written")
  func again() throws {
    let changed = try ChangedCluster()
    #expect(try changed.restore().status == 0)
    let outcome = try changed.restore()
    #expect(outcome.status == 0, "\(outcome.talk)")
    try changed.expectAsFresh()
    let record = try changed.site.published().record()
    let delta = try #require(try document(outcome)["delta"] as? [String: Any])
    let wal = try #require(record.archives.first { $0.name.hasPrefix("pg_wal.tar") })
    // The control file always is.
    #expect(delta["keptFiles"] as? Int == record.files - wal.files - 1)
    let text = try PgstillProgram.run(changed.words().filter { $0 != "--json" }).output
    #expect(text.contains("kept \(record.files - wal.files - 1) files, "))
  }

  @Test(
    "One that was killed leaves nothing that a server starts on, and is done by the next",
    arguments: ["compare.begin", "delta.invalid", "delta.clear", "unpack.end"])
  func killed(_ step: String) throws {
    let changed = try ChangedCluster()
    try changed.disturb()
    let held = try HeldProgram(changed.words(), at: step, in: changed.place)
    // Another one at the same time finds the lock.
    if step == "delta.clear" {
      #expect(
        try refused(changed.words().filter { $0 != "--json" }, 10).message.contains(
          "another restore is at work"))
    }
    #expect(held.kill() == 128 + SIGKILL)
    let control = changed.data.pushing("global/pg_control").string
    let isUntouched = step == "compare.begin"
    let isWhole = step == "unpack.end"
    #expect(FileManager.default.fileExists(atPath: control) == (isUntouched || isWhole))
    if !isUntouched, !isWhole {
      #expect(throws: Trouble.self) { try changed.site.cluster.start() }
    }
    let outcome = try changed.restore()
    #expect(outcome.status == 0, "\(outcome.talk)")
    try changed.expectAsFresh()
  }

  @Test("A running server is refused, and goes on")
  func running() throws {
    let site = try OnlineSite()
    #expect(try site.backUp().status == 0)
    let words = [
      "restore", "latest", "--repo", site.repository, "--target",
      site.cluster.dataDirectory.string, "--force-delta",
    ]
    for more in [[], ["--dry-run"]] {
      let refusal = try refused(words + more, 11)
      #expect(refusal.message.hasPrefix("a server is running on \(site.cluster.dataDirectory)"))
      #expect(refusal.hint?.contains("pg_ctl") == true)
    }
    // Also where only its lock file is gone, as somebody may have removed it.
    let lock = site.cluster.dataDirectory.appending("postmaster.pid").string
    try Tool.demand("mv", lock, "\(site.place.path)/lock")
    let hidden = try refused(words, 11)
    #expect(hidden.message.hasPrefix("a server process is at work in"))
    try Tool.demand("mv", "\(site.place.path)/lock", lock)
    #expect(try site.cluster.sql("SELECT count(*) FROM here") == "3000")
  }

  @Test("A folder of something else, and a data directory of another cluster, are refused")
  func others() throws {
    let changed = try ChangedCluster()
    let folder = try changed.place.folder("other", owner: FakeHost.owner)
    try Tool.demand("cp", "/etc/passwd", "\(folder)/passwd")
    func words(_ target: FilePath) -> [String] {
      [
        "restore", "latest", "--repo", changed.site.repository, "--target", target.string,
        "--force-delta",
      ]
    }
    #expect(
      try refused(words(folder), 11).message
        == "the target \(folder) is not empty and not a data directory")
    #expect(try OpenFolder.open(folder).names() == ["passwd"])
    let other = try ThrowAwayCluster(isStarted: false)
    let before = try changed.listing(other.dataDirectory)
    #expect(
      try refused(words(other.dataDirectory), 11).message.hasPrefix(
        "\(other.dataDirectory) belongs to another cluster"))
    #expect(try changed.listing(other.dataDirectory) == before)
    // A tablespace's new place has to be empty as ever.
    let mapping = "\(changed.site.tablespace)=\(folder)"
    let moved = try refused(changed.words("--tablespace-mapping", mapping), 11, again: false)
    #expect(moved.message.contains("is not empty: it holds passwd"))
  }

  @Test("An empty target is restored to as ever; links of pg_wal are followed")
  func emptyAndLinked() throws {
    let changed = try ChangedCluster()
    let wal = try changed.place.folder("wal", owner: FakeHost.owner)
    let target = changed.place.path.appending("new")
    func words(_ more: [String]) -> [String] {
      [
        "restore", "latest", "--repo", changed.site.repository, "--target", target.string,
        "--tablespace-mapping", "\(changed.site.tablespace)=\(changed.place.path)/new-space",
        "--force-delta", "--progress", "none",
      ] + more
    }
    let first = try PgstillProgram.run(words(["--wal-dir", wal.string, "--json"]))
    #expect(first.status == 0, "\(first.talk)")
    #expect(try document(first)["delta"] == nil)
    try Tool.demand("touch", "\(wal)/garbage", "\(target)/garbage")
    let second = try PgstillProgram.run(words(["--json"]))
    #expect(second.status == 0, "\(second.talk)")
    #expect(try document(second)["delta"] != nil)
    let names = try OpenFolder.open(wal).names().map(\.string)
    #expect(!names.contains("garbage") && names.contains { $0.hasPrefix("00000001") })
    let link = try OpenFolder.open(target).target(ofLink: "pg_wal")
    #expect(FilePath(bytes: link) == wal)
    #expect(try !OpenFolder.open(target).names().contains("garbage"))
  }
}
