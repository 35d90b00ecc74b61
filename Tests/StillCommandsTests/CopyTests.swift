import Foundation
import Glibc
import StillEngine
import StillModel
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

/// Backups in another repository, as their user sees them: in a folder, on another host by ssh, and below a
/// module of an rsync daemon.
@Suite(.enabled(if: ThrowAwaySSH.program != nil, "there is no sshd here; scripts/sshd says why"))
struct CopyTests {
  @Test(
    "Two nights: the second shares with the first, and each comes back",
    arguments: CopySite.Way.allCases)
  func nights(_ way: CopySite.Way) throws {
    let scene = try CopySite(way)
    let first = try scene.backUp("--format", "mirror")
    let planned = try document(scene.copy(["--dry-run"]))
    #expect(planned["state"] as? String == "nothing" && planned["sharedWith"] == nil)
    #expect(!FileManager.default.fileExists(atPath: scene.there.string), "a plan changes nothing")
    let alone = try scene.demand()
    #expect(try #require(alone["plan"] as? [String: Any])["sharedWith"] == nil)
    #expect(try #require(alone["files"] as? Int) > 900)
    try scene.verify("latest")
    let before = try scene.listing(scene.folder.appending(first.description))

    try scene.changeSecretly()
    let second = try scene.backUp("--format", "mirror")
    let shared = try scene.demand()
    #expect(
      try #require(shared["plan"] as? [String: Any])["sharedWith"] as? String == first.description)
    #expect(try #require(shared["files"] as? Int) < 100, "\(shared)")
    let folder = scene.folder.appending(second.description)
    let links = try Tool.demand(
      "find", "\(folder)/data", "-type", "f", "-links", "2", "-printf", "x")
    #expect(links.count > 800, "\(links.count)")
    let path = try scene.site.cluster.sql("SELECT pg_relation_filepath('here')")
    #expect(
      try Tool.demand("stat", "-c", "%h", "\(folder)/data/\(path)") == "1\n",
      "its time and size say that nothing has changed")

    #expect(try scene.run("verify", "--all").status == 0)
    let listed = try scene.run("list").output
    #expect(listed.contains(first.description) && listed.contains(second.description))
    #expect(!listed.contains("damaged"), "\(listed)")
    #expect(try scene.run("show", "latest").output.contains("backup \(second) of cluster main"))
    #expect(try scene.listing(scene.folder.appending(first.description)) == before)
    if way.renames {
      #expect(
        try Tool.demand("readlink", "\(scene.folder)/latest") == second.description + "\n")
    }
    #expect(try scene.folder.names().allSatisfy { !$0.hasPrefix(".") })
    for (id, sum) in [("latest", "4498501"), (first.description, "4498500")] {
      let place = try TestFolder(on: .disk, owner: FakeHost.owner)
      let server = try scene.restored(id, in: place)
      #expect(try server.sql("SELECT sum(n) FROM here") == sum)
      #expect(try server.sql("SELECT count(*) FROM there") == "2000")
    }
  }

  @Test("A backup of archives, older than what is there", arguments: CopySite.Way.allCases)
  func archives(_ way: CopySite.Way) throws {
    let scene = try CopySite(way)
    let older = try scene.backUp("--compress", "none")
    let newer = try scene.backUp("--compress", "none")
    for id in [newer, older] {
      try scene.demand(id.description)
      try scene.verify(id.description)
    }
    if way.renames {
      #expect(try Tool.demand("readlink", "\(scene.folder)/latest") == newer.description + "\n")
    }
    let mirror = try scene.backUp("--format", "mirror")
    let outcome = try scene.demand()
    #expect(
      try #require(outcome["plan"] as? [String: Any])["sharedWith"] == nil, "of another format")
    let place = try TestFolder(on: .disk, owner: FakeHost.owner)
    let server = try scene.restored(older.description, in: place)
    #expect(try server.sql("SELECT sum(n) FROM here") == "4498500")
    try scene.verify(mirror.description)
  }

  @Test(
    "One that is there already is compared, and nothing changes", arguments: CopySite.Way.allCases)
  func again(_ way: CopySite.Way) throws {
    let scene = try CopySite(way)
    let id = try scene.backUp("--format", "mirror")
    try scene.demand()
    let before = try scene.listing(scene.there)
    let again = try scene.demand()
    #expect(try #require(again["plan"] as? [String: Any])["state"] as? String == "all")
    #expect(again["files"] as? Int == 0)
    #expect(try scene.listing(scene.there) == before)
    let told = try PgstillProgram.run(scene.words())
    #expect(told.output.contains("already"), "\(told.output)")

    // A proof that was made here later is no difference.
    let record = FilePath(scene.site.repository).pushing(FilePath("main/\(id)"))
    let proved = try PgstillProgram.run(
      ["verify", "latest", "--start", "--repo", scene.site.repository])
    #expect(proved.status == 0, "\(proved.output)\(proved.talk)")
    #expect(
      try String(contentsOfFile: "\(record)/backup.json", encoding: .utf8).contains("\"proof\""))
    try scene.demand()
    #expect(try scene.listing(scene.there) == before)
  }

  @Test("One that is there already, and is not what it was, is named and left as it is")
  func another() throws {
    let scene = try CopySite(.ssh)
    let id = try scene.backUp("--format", "mirror")
    for (script, file) in [
      // Of the same size and time.
      (
        "touch -r $f ../time; printf X | dd of=$f bs=1 seek=40 conv=notrunc; touch -r ../time $f",
        "data/base/1/PG_VERSION"
      ),
      ("rm $f", "data/global/1262"),
      ("echo >$f", "data/base/too-much"),
      (
        "ln -sfn /tmp $f",
        "data/pg_tblspc/\(try scene.site.cluster.sql("SELECT max(oid) FROM pg_tablespace"))"
      ),
    ] {
      try scene.demand()
      try Tool.demand(
        "sh", "-ec", "cd \"$1\"; f=\(file); { \(script); } 2>/dev/null", "sh",
        scene.folder.appending(id.description).string)
      let changed = try scene.listing(scene.there)
      let failure = try scene.failure(scene.copy(), 14)
      #expect(failure.message.contains("is not what is here: \(file) differs"), "\(failure)")
      #expect(try scene.listing(scene.there) == changed)
      try Tool.demand("rm", "-r", scene.there.string)
    }
  }

  @Test(
    "Killed half-way: nothing looks whole, and the next one goes on",
    arguments: CopySite.Way.allCases)
  func killed(_ way: CopySite.Way) throws {
    let scene = try CopySite(way)
    let first = try scene.backUp("--format", "mirror")
    try scene.killHalfWay(first)
    #expect(
      try scene.run("verify", "latest").status == (way.renames ? 11 : 14),
      "there is no whole one yet")
    let rows = try #require(
      try document(scene.run("list", "--json"))["backups"] as? [[String: Any]])
    #expect(rows.count == (way.renames ? 0 : 1))
    for row in rows {
      #expect((row["damage"] as? String)?.contains("is not whole") == true, "\(row)")
    }
    let planned = try document(scene.copy(["--dry-run"]))
    #expect(planned["state"] as? String == "part")
    let whole = try scene.demand()
    let all = try Tool.demand("find", "\(scene.folder)/\(first)", "-type", "f", "-printf", "x")
      .count
    #expect(try #require(whole["files"] as? Int) < all - 20, "it went on from there")
    try scene.verify("latest")
    let before = try scene.listing(scene.folder.appending(first.description))

    try scene.site.cluster.sql(
      "CREATE TABLE more AS SELECT i, repeat('y', 900) FROM generate_series(1, 5000) AS i")
    let second = try scene.backUp("--format", "mirror")
    try scene.killHalfWay(second)
    let newest = try scene.run("show", "latest")
    // Nobody is given an older one in silence.
    #expect(
      way.renames ? newest.output.contains("backup \(first) of") : newest.status == 14,
      "\(newest.output)\(newest.talk)")
    try scene.demand()
    #expect(try scene.run("verify", "--all").status == 0)
    #expect(try scene.listing(scene.folder.appending(first.description)) == before)
    let left = try Tool.demand("find", scene.folder.string, "-name", ".*")
    #expect(left == "", "\(left)")
  }

  @Test(
    "What changed here since an attempt does not change what is shared there",
    arguments: [CopySite.Way.folder, .ssh])
  func resumedWithOthers(_ way: CopySite.Way) throws {
    let scene = try CopySite(way)
    let first = try scene.backUp("--format", "mirror")
    try scene.demand()
    let before = try scene.listing(scene.folder.appending(first.description))
    let second = try scene.backUp("--format", "mirror")
    let held = try HeldProgram(
      scene.words(), at: "elsewhere.synced", in: scene.place)
    #expect(held.kill() == 128 + SIGKILL)
    let file = "data/base/1/PG_VERSION"
    let partial = try #require(try scene.partial(of: second))
    #expect(try Tool.demand("stat", "-c", "%h", "\(partial)/\(file)") == "2\n")
    let backup = "\(scene.site.repository)/main/\(second)"
    try Tool.demand("touch", "\(backup)/\(file)")
    // Links are shared too.
    try Tool.demand("sh", "-c", "touch -h \"$1\"/data/pg_tblspc/*", "sh", backup)
    try scene.demand()
    #expect(try scene.listing(scene.folder.appending(first.description)) == before)
    #expect(
      try Tool.demand("stat", "-c", "%h", "\(scene.folder)/\(second)/\(file)") == "1\n")
    try scene.verify(second.description)
  }

  @Test(
    "Killed between its name and its end: the next one ends it",
    arguments: [CopySite.Way.folder, .ssh])
  func killedAfterwards(_ way: CopySite.Way) throws {
    let scene = try CopySite(way)
    let first = try scene.backUp("--format", "mirror")
    try scene.demand()
    let second = try scene.backUp("--format", "mirror")
    let held = try HeldProgram(scene.words(), at: "elsewhere.renamed", in: scene.place)
    #expect(held.kill() == 128 + SIGKILL)
    #expect(try Tool.demand("readlink", "\(scene.folder)/latest") == first.description + "\n")
    try scene.demand()
    #expect(try Tool.demand("readlink", "\(scene.folder)/latest") == second.description + "\n")
    try scene.verify("latest")
  }

  @Test("Told to stop, it leaves nothing that looks whole", arguments: [CopySite.Way.ssh, .daemon])
  func interrupted(_ way: CopySite.Way) throws {
    let scene = try CopySite(way)
    try scene.backUp("--format", "mirror")
    let held = try HeldProgram(
      scene.words() + ["--rate-limit", "1M"], at: "transfer.begin", in: scene.place)
    let (status, talk) = try held.goOnUntil(SIGTERM, after: 7)
    #expect(status == 128 + SIGTERM, "\(talk)")
    #expect(try scene.run("verify", "latest").status == (way.renames ? 11 : 14))
    try scene.demand()
    try scene.verify("latest")
  }

  @Test(
    "Removed here while it is copied: what is left of it is not published",
    arguments: CopySite.Way.allCases)
  func removedMeanwhile(_ way: CopySite.Way) throws {
    let scene = try CopySite(way)
    let id = try scene.backUp("--format", "mirror")
    let backup = "\(scene.site.repository)/main/\(id)"
    for removed in ["\(backup)/data/base", backup] {
      let held = try HeldProgram(scene.words(), at: "transfer.begin", in: scene.place)
      try Tool.demand("rm", "-r", removed)
      let (status, talk) = try held.goOn()
      #expect(status == 14, "\(talk)")
      #expect(try scene.run("verify", "latest").status == (way.renames ? 11 : 14))
    }
  }

  @Test("What an attempt orders too late does not publish what another one is at work on")
  func lateOrder() throws {
    let scene = try CopySite(.ssh)
    let id = try scene.backUp("--format", "mirror")
    let late = try HeldProgram(scene.words(), at: "elsewhere.synced", in: scene.place)
    let first = try #require(try scene.partial(of: id))
    #expect(late.kill() == 128 + SIGKILL)
    let next = try HeldProgram(scene.words(), at: "transfer.end", in: scene.place)
    #expect(try #require(try scene.partial(of: id)) != first)
    #expect(
      try Tool.run(["mv", "-T", first.string, "\(scene.folder)/\(id)"]).status != 0)
    let (status, talk) = try next.goOn()
    #expect(status == 0, "\(talk)")
    try scene.verify("latest")
  }

  @Test("While it copies, nobody else copies the backup from here")
  func busy() throws {
    let scene = try CopySite(.folder)
    let id = try scene.backUp("--format", "mirror")
    let held = try HeldProgram(scene.words(), at: "transfer.begin", in: scene.place)
    let failure = try scene.failure(scene.copy(), 10)
    #expect(failure.message.contains("\(id) is being copied"), "\(failure)")
    let other = try TestFolder(on: .disk, owner: FakeHost.owner)
    #expect(try scene.copy(to: "\(other.path)/repo").status == 10)
    let (status, talk) = try held.goOn()
    #expect(status == 0, "\(talk)")
    try scene.verify("latest")
  }

  @Test("A daemon that changes links is named, and archives have none")
  func mungedLinks() throws {
    let scene = try CopySite(.daemon, mungesLinks: true)
    try scene.backUp("--compress", "none")
    try scene.demand()
    try scene.verify("latest")
    try scene.backUp("--format", "mirror")
    for _ in 0..<2 {
      let outcome = try scene.copy()
      #expect(outcome.status == 3, "\(outcome.output)\(outcome.talk)")
      let missing = try #require(document(outcome)["missing"] as? [String])
      #expect(missing.count == 1)
      #expect(missing.first?.contains("data/pg_tblspc/") == true, "\(missing)")
      #expect(missing.first?.contains("munge symlinks") == true, "\(missing)")
    }
  }
}

extension FilePath {
  fileprivate func names() throws -> [String] {
    try OpenFolder.open(self).names().map(\.string)
  }
}
