import Foundation
import StillEngine
import StillModel
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

/// Backups that are plain trees, as their user sees them.
@Suite struct MirrorTests {
  private let site: OnlineSite

  init() throws { site = try OnlineSite() }

  private func backUp(_ more: String...) throws -> BackupFolder {
    let outcome = try site.backUp(options: ["--format", "mirror"] + more)
    #expect(outcome.status == 0, "\(outcome.talk)")
    return try site.published()
  }

  private func problems(
    _ id: String = "latest", at location: SourceLocation = #_sourceLocation
  ) throws -> [String] {
    let outcome = try PgstillProgram.run(["verify", id, "--repo", site.repository, "--json"])
    let backups = try document(outcome)["backups"] as? [[String: Any]]
    let problems = try #require(backups?.first?["problems"] as? [String])
    #expect(outcome.status == (problems.isEmpty ? 0 : 14), sourceLocation: location)
    return problems
  }

  /// Every name, attribute and byte of a tree.
  private func listing(_ path: FilePath) throws -> String {
    try Tool.demand(
      "/bin/sh", "-ec",
      "cd \"$1\"; find . -printf '%P %y %i %m %U %G %s %T@ %l\\n' | sort; "
        + "find . -type f -print0 | sort -z | xargs -0 sha256sum", "sh", path.string)
  }

  @Test("A copy of a mirror made by hand is what the manifest says, and a server starts on it")
  func byHand() throws {
    let backup = try backUp()
    #expect(
      Set(try backup.path.names()) == [
        "backup.json", "backup_manifest", "data", "tablespaces",
      ])
    let record = try backup.record()
    #expect(record.kind == .mirror && record.archives == [] && record.format == 2)
    let oid = record.tablespaces[0].oid
    let place = try TestFolder(on: .disk, owner: FakeHost.owner)
    try Tool.demand("cp", "-a", backup.path.string, "\(place.path)/copy")
    let data = place.path.pushing("copy/data")
    let check = try site.cluster.run(
      "pg_verifybackup", ["-m", "\(place.path)/copy/backup_manifest", data.string])
    #expect(check.contains("backup successfully verified"), "\(check)")

    let link = try OpenFolder.open(data).target(ofLink: FilePath("pg_tblspc/\(oid)"))
    #expect(String(decoding: link, as: UTF8.self) == "../../tablespaces/\(oid)")
    let before = try listing(site.tablespace)
    let mirror = try listing(backup.path)
    let server = try RestoredServer(data, like: site.cluster)
    #expect(try server.sql("SELECT sum(n) FROM here") == "4501500")
    #expect(try server.sql("SELECT sum(n) FROM there") == "2001000")
    // Writes to its own tablespace, to no other.
    _ = try server.sql("INSERT INTO there SELECT 1 FROM generate_series(1, 5000)")
    _ = try server.sql("CHECKPOINT")
    #expect(try listing(site.tablespace) == before)
    #expect(try listing(backup.path) == mirror)
  }

  @Test("A mirror is listed, shown, verified, proved and restored like every other backup")
  func everyVerb() throws {
    let backup = try backUp()
    _ = try backUp("--compress", "none", "--format", "tar")
    let id = backup.id.description
    let rows = try document(PgstillProgram.run(["list", "--repo", site.repository, "--json"]))
    let formats = (rows["backups"] as? [[String: Any]])?.compactMap { $0["format"] as? String }
    #expect(formats == ["mirror", "tar"])
    let spoken = try PgstillProgram.run(["show", id, "--repo", site.repository])
    #expect(spoken.output.contains("there was no mirror before"), "\(spoken.output)")
    #expect(try problems(id) == [])
    let proof = try PgstillProgram.run(["verify", id, "--start", "--repo", site.repository])
    #expect(proof.status == 0, "\(proof.output)\(proof.talk)")
    #expect(try backup.record().proof?.isGood == true)

    let place = try TestFolder(on: .disk, owner: FakeHost.owner)
    let words = [
      "restore", id, "--repo", site.repository, "--target", "\(place.path)/data",
      "--tablespace-mapping", "\(site.tablespace)=\(place.path)/space", "--wal-dir",
      "\(place.path)/wal",
    ]
    let outcome = try PgstillProgram.run(words)
    #expect(outcome.status == 0, "\(outcome.talk)")
    let data = place.path.appending("data")
    let check = try site.cluster.run(
      "pg_verifybackup", ["-m", "\(backup.path)/backup_manifest", data.string])
    #expect(check.contains("backup successfully verified"), "\(check)")
    let again = try refused(words, 11)
    #expect(again.message.contains("is not empty"))
    let server = try RestoredServer(data, like: site.cluster)
    #expect(try server.sql("SELECT sum(n) FROM there") == "2001000")
    let delta = try refused(
      [
        "restore", id, "--repo", site.repository, "--target", "\(place.path)/other",
        "--force-delta",
      ], 11)
    #expect(delta.message.contains("is a mirror"))
    // Its links lead elsewhere, and what the old one has beyond it would stay.
    #expect(delta.hint?.contains("rsync") == false, "\(delta)")
  }

  @Test("Compression is not for a mirror")
  func compression() throws {
    let refusal = try refused(site.words(["--format", "mirror", "--compress", "none"]), 64)
    #expect(refusal.message.contains("--compress"))
  }

  @Test("The server may be stopped for it, and pages are checked as in archives")
  func stopped() throws {
    let path = try site.cluster.sql("SELECT pg_relation_filepath('here')")
    try site.cluster.stop()
    let table = site.cluster.dataDirectory.pushing(FilePath(path))
    let file = try OpenFile.open(table, .update(permissions: 0o600))
    try file.writeDurably([0x55, 0xAA], at: 7 * 8192 + 5000)
    try file.writeDurably([0x55, 0xAA], at: 30 * 8192 + 8190)
    try file.close()
    try site.cluster.start()
    let stop = "pg_ctl stop -w -s -D \(site.cluster.dataDirectory)"
    let start =
      "pg_ctl start -w -s -D \(site.cluster.dataDirectory) -l \(site.cluster.folder)/log >/dev/null"
    let words =
      site.words(["--format", "mirror", "--json"]) + [
        "--consistency", "shutdown", "--stop-command", "\(site.cluster.programs)/\(stop)",
        "--start-command", "\(site.cluster.programs)/\(start)",
      ]
    let outcome = try PgstillProgram.run(words, environment: site.environment())
    #expect(outcome.status == 3, "\(outcome.talk)")
    let record = try site.published().record()
    #expect(record.consistency == .shutdown)
    #expect(record.badPages == [BadPages(file: path, blocks: [7, 30])])
    #expect(try problems() == [])
    let strict = try PgstillProgram.run(
      words + ["--strict-pages"], environment: site.environment())
    #expect(strict.status == 14, "\(strict.talk)")
    let names = try site.published().path.removingLastComponent().names()
    #expect(!names.contains { $0.hasPrefix(".partial") }, "\(names)")
  }

  @Test("Damage in a file that two mirrors share is found in both, and named")
  func damage() throws {
    let first = try backUp()
    let second = try backUp()
    #expect(try second.record().mirror?.sharedWith == first.id)
    let oid = try first.record().tablespaces[0].oid
    let script = """
      cd "$1"
      f=$(find data/base -name 1259 | head -1); [ "$(stat -c %h "$f")" -gt 1 ]
      printf X | dd of="$f" bs=1 seek=4000 conv=notrunc 2>/dev/null; echo "$f"
      w=$(ls data/pg_wal/0* | head -1)
      printf X | dd of="$w" bs=1 seek=70000 conv=notrunc 2>/dev/null; echo "$w"
      """
    let lines = try Tool.demand("/bin/sh", "-ec", script, "sh", first.path.string)
      .split(separator: "\n").map(String.init)
    let file = try #require(lines.first?.dropFirst("data/".count))
    let wal = try #require(lines.last?.dropFirst("data/pg_wal/".count))
    let found = try problems(first.id.description)
    #expect(found.count == 2, "\(found)")
    #expect(found.contains { $0.hasPrefix("data: \(file) is bad: its SHA256") }, "\(found)")
    #expect(found.contains { $0.hasPrefix("data/pg_wal: \(wal) is bad: its SHA256") }, "\(found)")
    let other = try problems(second.id.description)
    #expect(other.count == 1 && other[0].hasPrefix("data: \(file) is bad"), "\(other)")

    // The third does not hand it on.
    _ = try backUp()
    #expect(try problems() == [])

    try Tool.demand(
      "/bin/sh", "-ec",
      """
      cd "$1"; touch extra data/extra "tablespaces/extra"; mkdir tablespaces/\(oid)/extra
      rm data/PG_VERSION; rmdir data/pg_twophase; rm data/pg_tblspc/\(oid)
      """, "sh", second.path.string)
    #expect(
      Set(try problems(second.id.description)).subtracting(other) == [
        "extra does not belong to this backup", "tablespaces/extra does not belong to this backup",
        "data: extra is not in the manifest", "tablespaces/\(oid): extra is not in the manifest",
        "data: PG_VERSION is missing", "data: pg_twophase is missing",
        "data: pg_tblspc/\(oid) is missing",
      ])
    let place = try TestFolder(on: .disk, owner: FakeHost.owner)
    let refusal = try refused(
      [
        "restore", first.id.description, "--repo", site.repository, "--target",
        "\(place.path)/data", "--tablespace-mapping", "\(site.tablespace)=\(place.path)/space",
      ], 14, again: false)
    #expect(refusal.message.contains("is not what was backed up"), "\(refusal.message)")
    #expect(access("\(place.path)/data/global/pg_control", F_OK) != 0)
  }

  @Test(
    "Links and folders, which no manifest lists, have to be those of the backup to be restored",
    arguments: [
      ("rm data/pg_tblspc/OID", "data/pg_tblspc/OID is missing"),
      ("rmdir data/pg_notify", "data/pg_notify is missing"),
      ("ln -s /tmp data/log", "data/log is a link that is not of this backup"),
      ("ln -sfn /tmp data/pg_tblspc/OID", "data/pg_tblspc/OID is a link to /tmp instead of"),
      ("mkdir tablespaces/OID/new", "tablespaces/OID/new is not of this backup"),
    ])
  func shape(_ change: String, _ fault: String) throws {
    let backup = try backUp()
    let oid = "\(try backup.record().tablespaces[0].oid)"
    func with(_ text: String) -> String { text.replacingOccurrences(of: "OID", with: oid) }
    try Tool.demand("/bin/sh", "-ec", "cd \(backup.path); \(with(change))")
    let place = try TestFolder(on: .disk, owner: FakeHost.owner)
    let refusal = try refused(
      [
        "restore", "latest", "--repo", site.repository, "--target", "\(place.path)/data",
        "--tablespace-mapping", "\(site.tablespace)=\(place.path)/space",
      ], 14, again: false)
    #expect(refusal.message.hasPrefix("\(backup.path)/\(with(fault))"), "\(refusal.message)")
    #expect(access("\(place.path)/data/global/pg_control", F_OK) != 0)
  }

  @Test("A server that was stopped runs again before what a failure leaves is removed")
  func upBeforeRemoval() throws {
    let path = try site.cluster.sql("SELECT pg_relation_filepath('here')")
    try site.cluster.stop()
    let file = try OpenFile.open(
      site.cluster.dataDirectory.pushing(FilePath(path)), .update(permissions: 0o600))
    try file.writeDurably([0x55, 0xAA], at: 7 * 8192 + 5000)
    try file.close()
    try site.cluster.start()
    let control = "\(site.cluster.programs)/pg_ctl -w -s -D \(site.cluster.dataDirectory)"
    let held = try HeldProgram(
      site.words([
        "--format", "mirror", "--strict-pages", "--consistency", "shutdown", "--stop-command",
        "\(control) stop", "--start-command",
        "\(control) start -l \(site.cluster.folder)/log >/dev/null",
      ]), at: "removing", in: site.place, environment: site.environment())
    let cluster = FilePath(site.repository).appending("main")
    #expect(try cluster.names().contains { $0.hasPrefix(".partial-") })
    #expect(try site.cluster.sql("SELECT 1") == "1")
    #expect(try held.goOn().status == 14)
    #expect(try !cluster.names().contains { $0.hasPrefix(".partial-") })
  }

  @Test("An owner that a run without root cannot give is in the record, and named")
  func owners() throws {
    try #require(Account.effectiveUser == 0, "only root may give files away")
    let key = site.cluster.dataDirectory.appending("server.key").string
    try Tool.demand("sh", "-ec", "echo key >\(key); chown root:postgres \(key); chmod 640 \(key)")
    for isLinked in [false, true] {
      let mirror = try #require(try backUp().record().mirror)
      #expect(mirror.moreApart == 0 && mirror.apart.count == 1)
      let apart = try #require(mirror.apart.first)
      #expect(apart.path.path == "data/server.key")
      #expect(apart.owner == 0 && apart.ownerName == "root" && apart.groupName == "postgres")
      #expect(apart.mode == 0o640)
      let links = try Tool.demand(
        "stat", "-c", "%U %h", "\(site.published().path)/data/server.key")
      #expect(links == "postgres \(isLinked ? 2 : 1)\n")
    }
    let shown = try PgstillProgram.run(["show", "latest", "--repo", site.repository])
    #expect(
      shown.output.contains("kept apart    data/server.key: root:postgres 0640"), "\(shown.output)")
    let place = try TestFolder(on: .disk, owner: FakeHost.owner)
    let restored = try PgstillProgram.run([
      "restore", "latest", "--repo", site.repository, "--target", "\(place.path)/data",
      "--tablespace-mapping", "\(site.tablespace)=\(place.path)/space",
    ])
    #expect(restored.status == 0, "\(restored.talk)")
    #expect(
      restored.output.contains("note: data/server.key belonged to root:postgres 0640"),
      "\(restored.output)")
    #expect(try problems() == [])
  }

  @Test(
    "A repository that rsync keeps elsewhere, night by night, is a repository, and shares as well")
  func elsewhere() throws {
    let path = FilePath(try site.cluster.sql("SELECT pg_relation_filepath('here')"))
    let other = site.place.path.appending("other")
    try Tool.demand("sh", "-ec", "mkdir -p \(other)/main; chown -R \(FakeHost.owner): \(other)")
    var earlier: BackupFolder?
    for night in 1...2 {
      let backup = try backUp()
      let (id, there) = (backup.id.description, "\(other)/main")
      // As README.md has it.
      try Tool.demand(
        ["rsync", "-aHAX", "--numeric-ids", "--checksum", "--fsync"]
          + (earlier.map { ["--link-dest=../\($0.id)"] } ?? [])
          + ["\(backup.path)/", "\(there)/.copy-\(id)/"])
      try Tool.demand(
        "sh", "-ec",
        "cd \(there); sync -f .; mv -T .copy-\(id) \(id); ln -sfn \(id) latest; sync -f .")
      let verified = try PgstillProgram.run(["verify", id, "--repo", other.string])
      #expect(verified.status == 0, "\(verified.output)\(verified.talk)")
      earlier = backup
      guard night == 1 else { continue }
      // Of the same size and time, and yet another: in the copy, and in the next night.
      try Tool.demand(
        "sh", "-ec",
        """
        f=\(there)/\(id)/data/$(cd \(there)/\(id)/data; find base -name 1259 | head -n 1)
        touch -r "$f" \(other)/time; printf X | dd of="$f" bs=1 seek=4000 conv=notrunc 2>/dev/null
        touch -r \(other)/time "$f"; rm \(other)/time
        """)
      #expect(
        try PgstillProgram.run(["verify", id, "--repo", other.string]).status == 14)
      let table = site.cluster.dataDirectory.pushing(path)
      let before = try #require(try FileMetadata.ifPresent(at: table))
      try site.cluster.sql("UPDATE here SET n = n + 1 WHERE n = 1500", "CHECKPOINT")
      try OpenFolder.open(site.cluster.dataDirectory).setModified(
        path, seconds: before.modifiedSeconds, nanoseconds: before.modifiedNanoseconds)
    }
    let copy = try Repository.open(other).cluster("main").backup("latest")
    let shared = try Tool.demand(
      "find", copy.path.appending("data").string, "-type", "f", "-links", "2", "-printf", "x")
    #expect(shared.count > 500, "\(shared.count)")
    let place = try TestFolder(on: .disk, owner: FakeHost.owner)
    let restored = try PgstillProgram.run([
      "restore", "latest", "--repo", other.string, "--target", "\(place.path)/data",
      "--tablespace-mapping", "\(site.tablespace)=\(place.path)/space",
    ])
    #expect(restored.status == 0, "\(restored.talk)")
    let server = try RestoredServer(place.path.appending("data"), like: site.cluster)
    #expect(try server.sql("SELECT sum(n) FROM here") == "4501501")
  }

  @Test("A run that was killed leaves nothing that the next one does not remove")
  func killed() throws {
    _ = try backUp()
    let held = try HeldProgram(
      site.words(["--format", "mirror"]), at: "record", in: site.place,
      environment: site.environment())
    #expect(held.kill() == 128 + SIGKILL)
    let cluster = site.place.path.pushing("repo/main")
    let partial = try #require(try cluster.names().first { $0.hasPrefix(".partial-") })
    // Folders that nobody may write to, or even read, are no obstacle.
    try Tool.demand("chmod", "-R", "u-w", "\(cluster)/\(partial)")
    try Tool.demand("chmod", "000", "\(cluster)/\(partial)/data/base")
    let before = try listing(site.published().path)
    let oldest = try site.published()
    _ = try backUp()
    #expect(try !cluster.names().contains { $0.hasPrefix(".partial-") })
    #expect(try listing(oldest.path) == before)
  }
}

extension FilePath {
  fileprivate func names() throws -> [String] {
    try OpenFolder.open(self).names().map(\.string)
  }
}
