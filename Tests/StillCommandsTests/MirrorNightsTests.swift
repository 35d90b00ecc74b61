import Foundation
import StillEngine
import StillModel
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

/// Night after night on a file system that shares blocks. The file system needs root and `mkfs.xfs`;
/// without them these tests fail.
@Suite(.serialized) struct MirrorNightsTests {
  /// A cluster with a table of one row a page, of which each night changes every hundredth.
  private final class Nights {
    static let pages = 16_000
    let site: OnlineSite
    let disk: ThrowAwayFileSystem
    var repository: FilePath { disk.path.appending("repo") }

    init(_ maker: [String]) throws {
      site = try OnlineSite(["autovacuum": "off", "max_wal_size": "'1GB'"])
      disk = try ThrowAwayFileSystem(maker, size: "2G")
      try disk.run("install -d -o \(FakeHost.owner) -m 700 repo")
      try site.cluster.sql(
        "CREATE TABLE pages (n int, night int, fill text) WITH (fillfactor = 50)",
        "ALTER TABLE pages ALTER fill SET STORAGE PLAIN",
        """
        INSERT INTO pages SELECT i, 0, repeat(md5(i::text), 90)
          FROM generate_series(1, \(Nights.pages)) AS i
        """, "VACUUM (FREEZE) pages", "CHECKPOINT")
    }

    func change(_ night: Int) throws {
      try site.cluster.sql(
        """
        UPDATE pages SET night = \(night), fill = repeat(md5((n * \(night))::text), 90)
          WHERE n % 100 = \(night * 7 % 100)
        """)
    }

    func backUp() throws -> BackupRecord {
      let words = [
        "backup", "--pgdata", site.cluster.dataDirectory.string, "--repo", repository.string,
        "--cluster", "main", "--consistency", "online", "--format", "mirror",
      ]
      let outcome = try PgstillProgram.run(
        words, environment: site.environment(), prefix: disk.inside)
      #expect(outcome.status == 0, "\(outcome.talk)")
      return try Repository.open(disk.outside(repository)).cluster("main").backup("latest")
        .record()
    }

    func mirror(_ id: RunID) -> FilePath {
      disk.outside(repository.pushing(FilePath("main/\(id)")))
    }

    /// What PostgreSQL's own program says of a restored data directory.
    func pgVerifyBackup(_ id: RunID, _ data: String) throws -> String {
      try Tool.demand(
        disk.inside + [
          "setpriv", "--reuid=\(FakeHost.owner)", "--regid=\(FakeHost.owner)", "--init-groups",
          "--",
          site.cluster.programs.appending("pg_verifybackup").string, "-m",
          "\(repository)/main/\(id)/backup_manifest", data,
        ])
    }

    /// Every file's inode, attributes and content.
    func listing(_ id: RunID) throws -> String {
      try Tool.demand(
        "/bin/sh", "-ec",
        "cd \"$1\"; find . -printf '%P %y %i %m %U %G %s %T@ %l\\n' | sort; "
          + "find . -type f -print0 | sort -z | xargs -0 sha256sum", "sh", mirror(id).string)
    }
  }

  @Test(
    "Ten nights take little more than one, and each of them comes back",
    arguments: [["mkfs.xfs", "-q", "-m", "reflink=1"], ["mkfs.btrfs", "-q"]])
  func tenNights(_ maker: [String]) throws {
    let nights = try Nights(maker)
    try nights.disk.remount()
    let empty = try nights.disk.usedBytes()
    var records = [try nights.backUp()]
    try nights.disk.remount()
    let full = try nights.disk.usedBytes() - empty
    var listings = [try nights.listing(records[0].id)]
    var sums = [try nights.site.cluster.sql("SELECT sum(hashtext(t::text)) FROM pages t")]
    for night in 1..<10 {
      try nights.change(night)
      sums.append(try nights.site.cluster.sql("SELECT sum(hashtext(t::text)) FROM pages t"))
      records.append(try nights.backUp())
      listings.append(try nights.listing(records[night].id))
      #expect(records[night].mirror?.sharedWith == records[night - 1].id)
    }
    try nights.disk.remount()
    let all = try nights.disk.usedBytes() - empty
    let changed = UInt64(9 * Nights.pages / 100 * 8192)
    let share = Double(all) / Double(full)
    print("\(maker[0]): ten nights \(all) bytes, one \(full), changed \(changed), \(share) of one")
    #expect(Double(all) < 1.3 * Double(full) + Double(changed))

    for night in 0..<10 {
      let id = records[night].id
      #expect(try nights.listing(id) == listings[night], "night \(night) changed afterwards")
      let verified = try PgstillProgram.run(
        ["verify", id.description, "--repo", nights.repository.string],
        prefix: nights.disk.inside)
      #expect(verified.status == 0, "\(verified.output)\(verified.talk)")
      let place = try TestFolder(on: .disk, owner: FakeHost.owner)
      let restored = try PgstillProgram.run(
        [
          "restore", id.description, "--repo", nights.repository.string, "--target",
          "\(place.path)/data", "--tablespace-mapping",
          "\(nights.site.tablespace)=\(place.path)/space",
        ], prefix: nights.disk.inside)
      #expect(restored.status == 0, "\(restored.talk)")
      let check = try nights.pgVerifyBackup(id, "\(place.path)/data")
      #expect(check.contains("backup successfully verified"), "\(check)")
      let server = try RestoredServer(place.path.appending("data"), like: nights.site.cluster)
      #expect(try server.sql("SELECT max(night) FROM pages") == "\(night)")
      #expect(try server.sql("SELECT sum(hashtext(t::text)) FROM pages t") == sums[night])
    }
  }

  /// A small cluster, and a disk with a repository for it.
  private struct SmallNights {
    let site: OnlineSite
    let disk: ThrowAwayFileSystem
    var repository: FilePath { disk.path.appending("repo") }

    init(_ maker: [String], size: String, room: String? = nil) throws {
      site = try OnlineSite()
      disk = try ThrowAwayFileSystem(maker, size: size, room: room)
      try disk.run("install -d -o \(FakeHost.owner) -m 700 repo")
    }

    var words: [String] {
      [
        "backup", "--pgdata", site.cluster.dataDirectory.string, "--repo", repository.string,
        "--cluster", "main", "--consistency", "online", "--format", "mirror",
      ]
    }

    /// - Parameter prefix: a program that becomes it, with its arguments.
    func backUp(_ prefix: [String] = []) throws -> Tool.Outcome {
      try PgstillProgram.run(
        words, environment: site.environment(), prefix: disk.inside + prefix)
    }

    func latest() throws -> BackupFolder {
      try Repository.open(disk.outside(repository)).cluster("main").backup("latest")
    }

    func verified() throws -> Tool.Outcome {
      try PgstillProgram.run(
        ["verify", "latest", "--repo", repository.string], prefix: disk.inside)
    }
  }

  @Test("A repository that is full gets nothing, and keeps what it has")
  func full() throws {
    let nights = try SmallNights(["mkfs.ext4", "-q"], size: "80M")
    let (site, disk) = (nights.site, nights.disk)
    func backUp() throws -> Tool.Outcome { try nights.backUp() }
    let good = try backUp()
    #expect(good.status == 0, "\(good.talk)")
    try site.cluster.sql(
      "CREATE TABLE large AS SELECT repeat('x', 500) FROM generate_series(1, 120000)")
    let failed = try backUp()
    #expect(failed.status == 14, "\(failed.talk)")
    #expect(failed.talk.contains("No space left on device"), "\(failed.talk)")
    let names = try disk.run("ls -A repo/main").split(separator: "\n")
    #expect(names.count == 3 && !names.contains { $0.hasPrefix(".partial") }, "\(names)")
    let verified = try nights.verified()
    #expect(verified.status == 0, "\(verified.output)\(verified.talk)")
    try site.cluster.sql("DROP TABLE large")
    let again = try backUp()
    #expect(again.status == 0, "\(again.talk)")
  }

  /// FICLONE as it is where it goes wrong: `half` shares one page of a file and says that all is well, as
  /// XFS does of some kernels; `error` is any other.
  private static let brokenClone = """
    #define _GNU_SOURCE
    #include <dlfcn.h>
    #include <errno.h>
    #include <linux/fs.h>
    #include <stdarg.h>
    #include <stdlib.h>
    #include <string.h>

    int ioctl(int to, unsigned long request, ...) {
      va_list rest;
      va_start(rest, request);
      void *argument = va_arg(rest, void *);
      va_end(rest);
      int (*real)(int, unsigned long, ...) = dlsym(RTLD_NEXT, "ioctl");
      if (request != FICLONE) return real(to, request, argument);
      struct file_clone_range page = {.src_fd = (int)(long)argument, .src_length = 8192};
      if (strcmp(getenv("CLONE"), "half") == 0) return real(to, FICLONERANGE, &page);
      errno = EIO;
      return -1;
    }
    """

  @Test("A file system that clones badly costs room, never content", arguments: ["half", "error"])
  func badClones(_ kind: String) throws {
    let nights = try SmallNights(["mkfs.xfs", "-q", "-m", "reflink=1"], size: "1G")
    let (site, disk) = (nights.site, nights.disk)
    let place = try TestFolder(on: .disk)
    let code = try OpenFile.open(place.path.appending("clone.c"), .create(permissions: 0o644))
    try code.writeAll(Array(Self.brokenClone.utf8))
    try Tool.demand("gcc", "-shared", "-fPIC", "-o", "\(place.path)/clone.so", code.path.string)
    let badly = ["env", "LD_PRELOAD=\(place.path)/clone.so", "CLONE=\(kind)"]
    let first = try nights.backUp()
    #expect(first.status == 0, "\(first.talk)")
    try site.cluster.sql("UPDATE here SET n = n + 1 WHERE n = 1500")
    let second = try nights.backUp(badly)
    #expect(second.status == 0, "\(second.talk)")
    let sharing = try #require(try nights.latest().record().mirror?.sharing)
    // Whole files of one page are cloned all the same.
    #expect(sharing.linked > 0 && sharing.cloned < 300_000, "\(sharing)")
    let verified = try nights.verified()
    #expect(verified.status == 0, "\(verified.output)\(verified.talk)")

    try disk.run("install -d -o \(FakeHost.owner) -m 700 there")
    let restored = try PgstillProgram.run(
      [
        "restore", "latest", "--repo", nights.repository.string, "--target",
        "\(disk.path)/there/data", "--tablespace-mapping",
        "\(site.tablespace)=\(disk.path)/there/space",
      ], prefix: disk.inside + badly)
    #expect(restored.status == 0, "\(restored.talk)")
    let check = try Tool.demand(
      disk.inside + [
        "setpriv", "--reuid=\(FakeHost.owner)", "--regid=\(FakeHost.owner)", "--init-groups",
        "--", site.cluster.programs.appending("pg_verifybackup").string, "-m",
        "\(nights.repository)/main/latest/backup_manifest", "\(disk.path)/there/data",
      ])
    #expect(check.contains("backup successfully verified"), "\(check)")
  }

  @Test("What a disk takes and then cannot keep is no backup, though somebody else was told first")
  func lostWrites() throws {
    // Without a journal nothing but the content is lost.
    let nights = try SmallNights(
      ["mkfs.ext4", "-q", "-O", "^has_journal"], size: "300M", room: "12M")
    let held = try HeldProgram(
      nights.words, at: "record", in: nights.site.place, environment: nights.site.environment(),
      prefix: nights.disk.inside)
    let other = try Tool.run(nights.disk.inside + ["sync", "-f", nights.disk.path.string])
    #expect(other.status != 0, "the disk has room for all of it")
    let (status, talk) = try held.goOn()
    #expect(status == 14, "\(talk)")
    #expect(talk.contains("cannot sync "), "\(talk)")
    let names = try nights.disk.run("ls -A repo/main").split(separator: "\n")
    // What has lost its folders may be there to be removed; it is no backup.
    #expect(names.allSatisfy { $0 == ".lock" || $0.hasPrefix(".partial-") }, "\(names)")
  }

  @Test("Files are shared too where the file system knows of whole seconds only")
  func wholeSeconds() throws {
    let nights = try SmallNights(["mkfs.ext4", "-q", "-I", "128"], size: "300M")
    for _ in 0..<2 {
      let outcome = try nights.backUp()
      #expect(outcome.status == 0, "\(outcome.talk)")
    }
    let record = try nights.latest().record()
    let sharing = try #require(record.mirror?.sharing)
    #expect(sharing.linked > record.bytesRead / 2, "\(sharing)")
    let verified = try nights.verified()
    #expect(verified.status == 0, "\(verified.output)\(verified.talk)")
  }

  @Test("A restore on the file system of the repository takes no room")
  func restoreByClone() throws {
    let nights = try Nights(["mkfs.xfs", "-q", "-m", "reflink=1"])
    let record = try nights.backUp()
    try nights.disk.run("install -d -o \(FakeHost.owner) -m 700 there")
    try nights.disk.remount()
    let before = try nights.disk.usedBytes()
    let restored = try PgstillProgram.run(
      [
        "restore", "latest", "--repo", nights.repository.string, "--target",
        "\(nights.disk.path)/there/data", "--tablespace-mapping",
        "\(nights.site.tablespace)=\(nights.disk.path)/there/space",
      ], prefix: nights.disk.inside)
    #expect(restored.status == 0, "\(restored.talk)")
    try nights.disk.remount()
    #expect(Double(try nights.disk.usedBytes() - before) < 0.1 * Double(record.bytesRead))
    let check = try nights.pgVerifyBackup(record.id, "\(nights.disk.path)/there/data")
    #expect(check.contains("backup successfully verified"), "\(check)")
  }
}
