import Foundation
import StillArchive
import StillModel
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

/// What `restore --force-delta` does not do, so that nothing is lost that is not the cluster's own, and
/// nothing at all before it is sure that the backup can be had.
@Suite struct DeltaRefusalTests {
  // MARK: Servers

  @Test("A copy of a running cluster still leads to that one's tablespaces and WAL")
  func copyOfRunning() throws {
    let site = try OnlineSite()
    let wal = site.place.path.appending("wal")
    try site.cluster.stop()
    try Tool.demand("mv", "\(site.cluster.dataDirectory)/pg_wal", wal.string)
    try Tool.demand("ln", "-s", wal.string, "\(site.cluster.dataDirectory)/pg_wal")
    try site.cluster.start()
    try #require(site.backUp().status == 0)
    try site.cluster.sql("INSERT INTO there SELECT generate_series(1, 5000)", "CHECKPOINT")
    let copy = site.place.path.appending("copy")
    try Tool.demand("cp", "-a", site.cluster.dataDirectory.string, copy.string)
    try Tool.demand("rm", "\(copy)/postmaster.pid")
    let space = try site.place.folder("space", owner: FakeHost.owner)
    func words(_ more: [String]) -> [String] {
      ["restore", "latest", "--repo", site.repository, "--target", copy.string, "--force-delta"]
        + more
    }
    let moved = ["--tablespace-mapping", "\(site.tablespace)=\(space)"]
    for (more, place) in [([], site.tablespace), (["--dry-run"], site.tablespace), (moved, wal)] {
      // Not twice: it may be another process that is seen first.
      let refusal = try refused(words(more), 11, again: false)
      #expect(
        refusal.message.hasPrefix("a server of another data directory is at work in \(place)"))
      #expect(refusal.hint?.contains("--tablespace-mapping") == true)
    }
    #expect(try site.cluster.sql("SELECT count(*) FROM there") == "7000")
    try site.cluster.stop("immediate")
    try site.cluster.start()
    #expect(try site.cluster.sql("SELECT count(*) FROM there") == "7000")

    // With places of its own the copy can be had, beside the server.
    let own = ["--wal-dir", "\(site.place.path)/own-wal", "--progress", "none"]
    let outcome = try PgstillProgram.run(words(moved + own))
    #expect(outcome.status == 0, "\(outcome.talk)")
    try site.cluster.sql("CHECKPOINT", "SELECT pg_switch_wal()")
    let restored = try RestoredServer(copy, like: site.cluster)
    #expect(try restored.sql("SELECT count(*) FROM there") == "2000")
  }

  @Test("A lock file may be that of a server in a container or on another host")
  func lockFile() throws {
    let changed = try ChangedCluster()
    let lock = changed.data.appending("postmaster.pid").string
    func leave() throws {
      // No process has that number: there are fewer.
      try "99999999\n\(changed.data)\n1700000000\n5432\n\n\n".write(
        toFile: lock, atomically: false, encoding: .utf8)
      chmod(lock, 0o644)
    }
    try changed.site.cluster.start()
    try changed.site.cluster.stop("immediate")
    try leave()
    let before = try changed.listing(changed.data)
    let refusal = try refused(changed.words().filter { $0 != "--json" }, 11)
    #expect(refusal.message.hasPrefix("\(lock) is there: a server may be running"))
    #expect(refusal.hint == "If none runs on it anywhere, remove that file.")
    #expect(try changed.listing(changed.data) == before)
    unlink(lock)
    #expect(try changed.restore().status == 0)

    // One that was shut down in order has ended, whatever it has left.
    try changed.site.cluster.start()
    try changed.site.cluster.stop()
    try leave()
    #expect(try changed.restore().status == 0)
  }

  @Test("A server whose processes cannot be seen goes on")
  func unseen() throws {
    let site = try OnlineSite()
    try #require(site.backUp().status == 0)
    try site.cluster.sql("INSERT INTO there SELECT generate_series(1, 5000)", "CHECKPOINT")
    let outcome = try PgstillProgram.run(
      [
        "restore", "latest", "--repo", site.repository, "--target",
        site.cluster.dataDirectory.string, "--force-delta",
      ], prefix: ["unshare", "--pid", "--fork", "--mount-proc"])
    #expect(outcome.status == 11, "\(outcome.talk)")
    #expect(outcome.talk.contains("postmaster.pid is there"))
    try site.cluster.sql("CHECKPOINT")
    #expect(try site.cluster.sql("SELECT count(*) FROM there") == "7000")
  }

  @Test("A server that was started during the comparison keeps its control file")
  func startedMeanwhile() throws {
    let changed = try ChangedCluster()
    let held = try HeldProgram(changed.words(), at: "unpack.begin", in: changed.place)
    try changed.site.cluster.start()
    let control = changed.data.pushing("global/pg_control").string
    // A new name changes that, and so does every other one.
    func changeTime() throws -> String { try Tool.demand("stat", "-c", "%z %i", control) }
    let before = try changeTime()
    let (status, talk) = try held.goOn()
    #expect(status == 11 && talk.contains("a server is running on"), "\(talk)")
    #expect(try changeTime() == before)
    #expect(try changed.site.cluster.sql("SELECT count(*) FROM later") == "1")
  }

  // MARK: The backup

  @Test("All archives are read before anything is changed")
  func damagedArchives() throws {
    let changed = try ChangedCluster()
    let backup = try changed.site.published()
    let before = try changed.listing(changed.data)
    let script = """
      cd "$1"
      case $2 in
        cut) truncate -s -1000 "$3" ;;
        remove) rm "$3" ;;
        change) printf '\\001\\002' | dd of="$3" bs=1 seek=2000 conv=notrunc 2>/dev/null ;;
      esac
      """
    let names = try backup.record().archives.map(\.name)
    #expect(names.count == 3)
    for name in names {
      for damage in ["cut", "remove", "change"] {
        let whole = changed.place.path.appending("whole").string
        try Tool.demand("cp", "-p", "\(backup.path)/\(name)", whole)
        try Tool.demand("/bin/sh", "-ec", script, "sh", backup.path.string, damage, name)
        let outcome = try changed.restore()
        #expect(outcome.status == 14, "\(name), \(damage): \(outcome.talk)")
        #expect(outcome.talk.contains(name), "\(outcome.talk)")
        #expect(try changed.listing(changed.data) == before, "\(name), \(damage)")
        try Tool.demand("cp", "-p", whole, "\(backup.path)/\(name)")
      }
    }
    try changed.site.cluster.start()
    #expect(try changed.site.cluster.sql("SELECT count(*) FROM later") == "1")
    try changed.site.cluster.stop()
    #expect(try changed.restore().status == 0)
  }

  @Test("A failure on the way says what state that leaves")
  func halfRestored() throws {
    let changed = try ChangedCluster()
    let held = try HeldProgram(changed.words(), at: "unpack.begin", in: changed.place)
    let backup = try changed.site.published()
    let name = try #require(try backup.record().archives.first { $0.name.hasPrefix("base") }).name
    try Tool.demand("truncate", "-s", "-20", "\(backup.path)/\(name)")
    let (status, talk) = try held.goOn()
    #expect(status == 14 && talk.contains("is half restored"), "\(talk)")
    #expect(throws: Trouble.self) { try changed.site.cluster.start() }
    #expect(try OpenFolder.open(changed.data).metadataIfPresent(of: "global/pg_control") == nil)
    #expect(
      try OpenFolder.open(changed.data).metadataIfPresent(of: "global/pg_control.replaced") != nil)
  }

  @Test("A backup that lies in what is cleaned stays whole")
  func repositoryInside() throws {
    let changed = try ChangedCluster()
    let wal = changed.data.pushing("pg_wal/repo")
    for place in [changed.data.appending("repo"), wal] {
      try Tool.demand("cp", "-a", changed.site.repository, place.string)
      let before = try changed.listing(changed.data)
      let refusal = try refused(
        [
          "restore", "latest", "--repo", place.string, "--target", changed.data.string,
          "--force-delta",
        ], 11)
      #expect(refusal.message.contains("lies inside \(changed.data)"))
      #expect(refusal.hint == "Move the repository away first.")
      #expect(try changed.listing(changed.data) == before)
      try Tool.demand("rm", "-r", place.string)
    }
  }

  // MARK: What is not the cluster's

  @Test("In the place of WAL only WAL is removed")
  func besideWAL() throws {
    let changed = try ChangedCluster()
    let inner = changed.data.pushing("pg_wal/archive")
    try Tool.demand("mkdir", inner.string)
    try Tool.demand("touch", "\(inner)/000000010000000000000009")
    let before = try changed.listing(changed.data)
    for more in [[], ["--wal-dir", "\(changed.place.path)/other"]] {
      let words = changed.words().filter { $0 != "--json" } + more
      let refusal = try refused(words, 11)
      #expect(refusal.message == "\(changed.data)/pg_wal holds archive, which is no WAL")
    }
    #expect(try changed.listing(changed.data) == before)

    let wal = changed.place.path.appending("wal")
    try Tool.demand("mv", "\(changed.data)/pg_wal", wal.string)
    try Tool.demand("ln", "-s", wal.string, "\(changed.data)/pg_wal")
    try Tool.demand("touch", "\(wal)/garbage", "\(wal)/archive_status/garbage")
    let outcome = try changed.restore()
    #expect(outcome.status == 0, "\(outcome.talk)")
    #expect(try OpenFolder.open(wal.appending("archive")).names() == ["000000010000000000000009"])
    let status = wal.appending("archive_status")
    #expect(try !OpenFolder.open(wal).names().contains("garbage"))
    #expect(try OpenFolder.openIfPresent(status)?.names().contains("garbage") != true)
    try changed.site.cluster.start()
    #expect(try changed.site.cluster.sql("SELECT count(*) FROM there") == "2000")
  }

  @Test("A relative link leads where the kernel goes, also where a link leads to the target")
  func relativeLink() throws {
    let changed = try ChangedCluster()
    let real = try changed.place.folder("real", owner: FakeHost.owner)
    try Tool.demand("mv", changed.data.string, "\(real)/data")
    try Tool.demand("mv", "\(real)/data/pg_wal", "\(real)/wal")
    try Tool.demand("ln", "-s", "../wal", "\(real)/data/pg_wal")
    try Tool.demand("ln", "-s", "\(real)/data", changed.data.string)
    // Beside the link, and nothing of the cluster's.
    let precious = changed.data.removingLastComponent().appending("wal")
    try Tool.demand("install", "-d", "-o", FakeHost.owner, precious.string)
    try Tool.demand("touch", "\(precious)/000000010000000000000009", "\(real)/wal/garbage")
    let outcome = try changed.restore()
    #expect(outcome.status == 0, "\(outcome.talk)")
    #expect(try OpenFolder.open(precious).names() == ["000000010000000000000009"])
    let names = try OpenFolder.open(real.appending("wal")).names().map(\.string)
    #expect(!names.contains("garbage") && names.contains { $0.hasPrefix("00000001") })
    #expect(try document(outcome)["notes"] as? [String] == [])
    #expect(
      try OpenFolder.open(real.appending("data")).target(ofLink: "pg_wal") == Array("../wal".utf8))

    // The same for a path of the command line that goes up.
    let up = "\(changed.data)/../data"
    let words = changed.words().map { $0 == changed.data.string ? up : $0 }
    let again = try PgstillProgram.run(words + ["--dry-run"])
    #expect(try document(again)["target"] as? String == "\(real)/data")
    try changed.site.cluster.start()
    #expect(try changed.site.cluster.sql("SELECT count(*) FROM there") == "2000")
  }

  @Test(
    "What others have in a tablespace inside the data directory stays, whatever path leads there")
  func innerTablespace() throws {
    let site = try OnlineSite()
    let inner = site.cluster.dataDirectory.appending("inner").string
    try Tool.demand("install", "-d", "-m", "700", "-o", FakeHost.owner, inner)
    try site.cluster.sql("CREATE TABLESPACE inner_space LOCATION '\(inner)'")
    try #require(site.backUp().status == 0)
    try site.cluster.stop()
    let other = "\(inner)/PG_9.6_201608131"
    try Tool.demand("install", "-d", "-m", "700", "-o", FakeHost.owner, other)
    try Tool.demand("touch", "\(other)/precious")
    let link = site.place.path.appending("link").string
    try Tool.demand("ln", "-s", site.cluster.dataDirectory.string, link)
    let outcome = try PgstillProgram.run([
      "restore", "latest", "--repo", site.repository, "--target", link, "--force-delta",
    ])
    #expect(outcome.status == 0, "\(outcome.talk)")
    #expect(FileManager.default.fileExists(atPath: "\(other)/precious"))
    try site.cluster.start()
    #expect(try site.cluster.sql("SELECT count(*) FROM there") == "2000")
  }

  // MARK: What is in the way

  @Test("Folders of somebody else are found before anything is changed")
  func foldersOfRoot() throws {
    let changed = try ChangedCluster()
    let old = changed.data.appending("old")
    try Tool.demand("mkdir", old.string)
    try Tool.demand("touch", "\(old)/file")
    let before = try changed.listing(changed.data)
    let refusal = try refused(changed.words().filter { $0 != "--json" }, 11)
    #expect(refusal.message == "\(old) belongs to root, not to \(FakeHost.owner)")
    #expect(try changed.listing(changed.data) == before)
    unlink("\(old)/file")
    // Files and links of root's are no trouble, nor are folders of theirs that are empty.
    try Tool.demand("chown", "root", "\(changed.data)/PG_VERSION")
    try Tool.demand("chmod", "644", "\(changed.data)/PG_VERSION")
    let oid = try changed.site.published().record().tablespaces[0].oid
    try Tool.demand("chown", "-h", "root", "\(changed.data)/pg_tblspc/\(oid)")
    try Tool.demand("chmod", "500", "\(changed.data)/base")
    let outcome = try changed.restore()
    #expect(outcome.status == 0, "\(outcome.talk)")
    try changed.expectAsFresh()
  }

  @Test("A folder in the place of a link to a tablespace is found before anything is changed")
  func folderForLink() throws {
    let changed = try ChangedCluster()
    let oid = try changed.site.published().record().tablespaces[0].oid
    let link = changed.data.pushing(FilePath("pg_tblspc/\(oid)")).string
    unlink(link)
    try Tool.demand("install", "-d", "-o", FakeHost.owner, link)
    let before = try changed.listing(changed.data)
    let mapping = "\(changed.site.tablespace)=\(changed.place.path)/new"
    let words = changed.words("--tablespace-mapping", mapping).filter { $0 != "--json" }
    #expect(try refused(words, 11).message == "\(link) is not a link")
    #expect(try changed.listing(changed.data) == before)
  }

  /// Runs with a file system in memory on a folder, which nobody else sees, and filled so.
  private func restore(
    _ changed: ChangedCluster, mounted folder: FilePath, _ fill: String
  ) throws -> Tool.Outcome {
    let script = """
      mount -t tmpfs -o mode=700,uid=$(id -u \(FakeHost.owner)) tmpfs "$0"
      cd "$0"; \(fill); cd /
      status=0; "$@" || status=$?
      find "$0" | sort >&2
      exit $status
      """
    return try PgstillProgram.run(
      changed.words(), prefix: ["unshare", "--mount", "/bin/sh", "-ec", script, folder.string])
  }

  @Test("File systems inside the data directory: the cluster's own is cleaned, any other stays")
  func mounts() throws {
    let changed = try ChangedCluster { site in
      let log = site.cluster.dataDirectory.appending("log").string
      try Tool.demand("install", "-d", "-o", FakeHost.owner, log)
      try Tool.demand("install", "-m", "600", "-o", FakeHost.owner, "/etc/passwd", "\(log)/kept")
    }
    let log = changed.data.appending("log")
    let own = try restore(changed, mounted: log, "mkdir -m 700 lost+found; touch strange")
    #expect(own.status == 0, "\(own.talk)")
    #expect(own.talk.contains("\(log)/kept\n\(log)/lost+found\n"), "\(own.talk)")
    #expect(!own.talk.contains("strange"))

    let other = changed.data.appending("other")
    try Tool.demand("install", "-d", "-o", FakeHost.owner, other.string)
    let control = changed.data.pushing("global/pg_control").string
    for folder in [other, changed.data.pushing("pg_wal/archive_status")] {
      let outcome = try restore(changed, mounted: folder, "touch precious")
      #expect(outcome.status == 11, "\(outcome.talk)")
      #expect(outcome.talk.contains("a file system is mounted at \(folder)"), "\(outcome.talk)")
      #expect(outcome.talk.contains("\(folder)/precious"), "\(outcome.talk)")
      #expect(FileManager.default.fileExists(atPath: control))
    }
  }
}
