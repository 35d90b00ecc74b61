import Foundation
import StillModel
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

/// `restore --force-delta`: what was is brought to what is in the backup.
@Suite struct DeltaTests {
  /// A stopped cluster that was backed up while it ran.
  private final class Changed {
    let site: OnlineSite
    let place: TestFolder
    /// A restore to an empty place, which everything is compared with.
    let fresh: FilePath
    var data: FilePath { site.cluster.dataDirectory }

    init() throws {
      site = try OnlineSite()
      let outcome = try site.backUp()
      try #require(outcome.status == 0, "\(outcome.talk)")
      place = try TestFolder(on: .disk, owner: FakeHost.owner)
      fresh = try site.restore(into: place)
      try site.cluster.sql(
        "INSERT INTO here SELECT i, 'new' FROM generate_series(1, 3000) AS i",
        "DELETE FROM there WHERE n % 2 = 0", "CREATE TABLE later AS SELECT 1 AS n",
        "CREATE DATABASE second", "DROP TABLE counter", "VACUUM there", "SELECT pg_switch_wal()")
      try site.cluster.stop()
    }

    /// Changes of all kinds behind the server's back.
    func disturb() throws {
      let script = """
        cd "$1"
        printf X | dd of="$(ls -d base/5/1249)" bs=1 seek=4000 conv=notrunc 2>/dev/null
        truncate -s 8192 base/5/1255
        truncate -s +8192 base/5/2619
        rm base/5/2608 global/1260
        chmod 644 base/5/1247; chmod 400 base/5/2610; chmod 0 base/5/2658; chmod 755 base/1
        touch -d 2001-01-01 base/5/2609
        ln base/5/2612 base/5/extra-name
        rm base/5/2613; ln -s /etc/passwd base/5/2613
        mkdir -p strange/folder base/5/2611.d; echo x >strange/folder/file; echo y >log-of-old
        rm base/5/2615; mkdir base/5/2615; echo z >base/5/2615/z
        cp -p base/5/1259 base/5/copy; mv base/5/copy base/5/1259
        setfattr -n user.note -v hello base/5/2617 || true
        rm -r pg_xact; rm pg_tblspc/*/PG_*/*/[1-9]* || true
        mkdir "$2/PG_9.6_201608131"; echo old >"$2/PG_9.6_201608131/file"
        """
      try Tool.demand(
        "setpriv", "--reuid=\(FakeHost.owner)", "--regid=\(FakeHost.owner)", "--init-groups",
        "/bin/sh", "-ec", script, "sh", data.string, site.tablespace.string)
    }

    func words(_ more: String...) -> [String] {
      [
        "restore", "latest", "--repo", site.repository, "--target", data.string, "--force-delta",
        "--progress", "none", "--json",
      ] + more
    }

    func restore(_ environment: [String: String] = [:]) throws -> Tool.Outcome {
      try PgstillProgram.run(words(), environment: environment)
    }

    /// Every name with everything that a restore sets, and the checksum of every file.
    func listing(_ root: FilePath, leavingOut name: String = "none") throws -> [String] {
      let script = """
        cd "$1"
        find . -name "$2" -prune -o -type d -printf '%P %y %m %U %G %T@\\n' \
          -o -type l -printf '%P %y %U %G\\n' -o -printf '%P %y %m %U %G %s %n %T@\\n' | sort
        find . -name "$2" -prune -o -type f -print0 | sort -z | xargs -0 sha256sum
        getfattr -R -d . 2>/dev/null || true
        """
      return try Tool.demand("/bin/sh", "-ec", script, "sh", root.string, name)
        .split(separator: "\n").map(String.init)
    }

    func expectAsFresh(at location: SourceLocation = #_sourceLocation) throws {
      let space = place.path.appending("space")
      // Where the tablespace moved there is no map, and its folder and the links are new.
      func compare(_ one: [String], _ other: [String]) {
        let differences = Set(one).symmetricDifference(other)
          .filter { !$0.hasPrefix("pg_tblspc") && !$0.contains("tablespace_map") }
        #expect(differences == [], sourceLocation: location)
        #expect(one.count > 3, sourceLocation: location)
      }
      compare(try listing(data), try listing(fresh))
      compare(
        try listing(site.tablespace, leavingOut: "PG_9.6*").filter { !$0.hasPrefix(" d") },
        try listing(space).filter { !$0.hasPrefix(" d") })
    }
  }

  @Test("After changes of all kinds the result is that of a restore to an empty place")
  func everything() throws {
    let changed = try Changed()
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
    let changed = try Changed()
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
    let changed = try Changed()
    try changed.disturb()
    let marks = changed.site.place.path.appending("marks").string
    try Data().write(to: URL(filePath: marks))
    chmod(marks, 0o666)
    let child = try Child.start(
      PgstillProgram.path(), changed.words(),
      environment: [
        "PATH": "/usr/bin:/bin", "PGSTILL_TEST_PAUSE_AT": step, "PGSTILL_TEST_PAUSE_MS": "60000",
        "PGSTILL_TEST_MARKS": marks,
      ], input: .open("/dev/null"), output: .inMemory())
    while try !String(contentsOfFile: marks, encoding: .utf8).contains(step) {
      if let status = child.statusIfEnded() { throw Trouble("it ended with \(status)") }
      usleep(10_000)
    }
    // Another one at the same time finds the lock.
    if step == "delta.clear" {
      #expect(
        try refused(changed.words().filter { $0 != "--json" }, 10).message.contains(
          "another restore is at work"))
    }
    child.signalGroup(SIGKILL)
    #expect(child.wait() == 128 + SIGKILL)
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
    let changed = try Changed()
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
    let changed = try Changed()
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
