import StillModel
import StillSystem
import SystemPackage
import Testing

@testable import StillArchive

@Suite struct UnpackTests {
  private static let verifyProgram = "/usr/lib/postgresql/15/bin/pg_verifybackup"

  private func unpackAll(
    _ cluster: FakeCluster, _ manifest: BackupManifest, suffix: String = ".zst"
  ) throws {
    let target = try cluster.temporary.folder("target")
    var options = UnpackOptions(expected: ExpectedFiles(manifest, in: .base(tablespaces: [16402])))
    let space = try cluster.temporary.folder("new-space")
    options.linkTargets = ["pg_tblspc/16402": space.path.bytes]
    _ = try unpack(
      archive: try cluster.temporary.file("backup/base.tar" + suffix), into: target, options)
    _ = try unpack(
      archive: try cluster.temporary.file("backup/16402.tar" + suffix), into: space,
      UnpackOptions(expected: ExpectedFiles(manifest, in: .tablespace(16402))))
  }

  @Test(
    .enabled(if: Program.isThere(verifyProgram), "needs PostgreSQL 15's programs"),
    arguments: [ChecksumAlgorithm.crc32c, .sha256, .sha512, .none])
  func theServersOwnProgramAgrees(_ checksum: ChecksumAlgorithm) throws {
    let cluster = try FakeCluster()
    let manifest = try cluster.backUp(checksum)
    #expect(Set(manifest.files.map(\.path)) == FakeCluster.listed)
    #expect(manifest.files.first(where: { $0.path == "global/pg_control" }) != nil)
    try unpackAll(cluster, manifest)
    let target = cluster.temporary.path + "/target"
    try Program.run("cp", "backup/backup_manifest", "target", in: cluster.temporary.path)
    try Program.run(UnpackTests.verifyProgram, "-n", target)
    // It does look.
    try cluster.temporary.write("tbble", to: "target/base/5/1259")
    let second = try Program.status(of: [UnpackTests.verifyProgram, "-n", target])
    #expect((second.status != 0) == (checksum != .none))
  }

  @Test func wholeSecondsNeedNoExtendedHeaders() throws {
    for times in [ArchiveWriter.Times.seconds, .nanoseconds] {
      let cluster = try FakeCluster()
      _ = try cluster.backUp(compression: .none, times: times)
      let archive = try cluster.temporary.read("backup/base.tar")
      let flags = stride(from: 0, to: archive.count, by: 512).filter {
        archive[($0 + 257)..<($0 + 262)].elementsEqual("ustar".utf8)
      }.map { archive[$0 + TarFormat.typeFlag] }
      #expect(flags.contains(UInt8(ascii: "x")) == (times == .nanoseconds))
    }
  }

  @Test func tablespacesMoveWithTheirLink() throws {
    let cluster = try FakeCluster()
    try unpackAll(cluster, try cluster.backUp())
    let content = try cluster.temporary.read("new-space/PG_15_202209061/5/16403")
    #expect(content == Array("in the tablespace".utf8))
    let link = try cluster.temporary.folder("target").target(ofLink: "pg_tblspc/16402")
    #expect(link == Array((cluster.temporary.path + "/new-space").utf8))
    #expect(try cluster.temporary.folder("target").metadata().mode == 0o750)
  }

  @Test func whatTheManifestDoesNotSayIsRefused() throws {
    let cluster = try FakeCluster()
    let manifest = try cluster.backUp(compression: .none)
    func fails(_ change: (inout BackupManifest) -> Void) throws -> String {
      var changed = manifest
      change(&changed)
      _ = try? cluster.temporary.open().removeTree("target")
      _ = try? cluster.temporary.open().removeTree("new-space")
      let error = #expect(throws: StillError.self) {
        try unpackAll(cluster, changed, suffix: "")
      }
      #expect(error?.status == .copying)
      return error?.message ?? ""
    }
    #expect(try fails { $0.files[0].size += 1 }.contains("bytes instead of"))
    #expect(try fails { $0.files[0].checksum.bytes[0] ^= 1 }.contains("CRC32C checksum is"))
    #expect(try fails { $0.files.removeFirst() }.contains("does not list"))
    #expect(try fails { $0.files[0].path = "missing" }.contains("does not list"))
    let extra = ManifestFile(
      path: "base/5/lost", size: 0, modified: CalendarTime(secondsSince1970: 0), checksum: .none)
    #expect(try fails { $0.files.append(extra) }.contains("lacks base/5/lost"))
  }

  @Test(arguments: ["/absolute", "../up", "a/../../up", "..", "./../x"])
  func pathsThatLeadOutAreRefused(_ path: FilePath) throws {
    let temporary = try TemporaryFolder()
    for kind in [TarMember.Kind.file, .folder, .link(target: [65])] {
      let archive = try makeArchive(.none) {
        try $0.add(TarMember(path: path, kind: kind, mode: 0o700))
      }
      try temporary.write(archive, to: "a.tar")
      let target = try temporary.folder("target")
      let error = #expect(throws: StillError.self) {
        _ = try unpack(archive: try temporary.file("a.tar"), into: target)
      }
      #expect(error?.message.contains("leads out") == true)
    }
    #expect(try temporary.open().names() == ["a.tar", "target"])
  }

  @Test func linksInTheArchiveAreNotFollowed() throws {
    let temporary = try TemporaryFolder()
    let outside = try temporary.folder("outside")
    let mode = try outside.metadata().mode
    let link = TarMember(path: "door", kind: .link(target: outside.path.bytes), mode: 0o777)
    for member in [
      plainFile("door/file"), TarMember(path: "door", kind: .folder, mode: 0o000),
      TarMember(path: "door/inner", kind: .folder, mode: 0o700), plainFile("door"),
    ] {
      try temporary.write(
        try makeArchive(.none) {
          try $0.add(link)
          try $0.add(member)
        }, to: "a.tar")
      let target = try temporary.folder("target")
      #expect(throws: StillError.self) {
        _ = try unpack(archive: try temporary.file("a.tar"), into: target)
      }
      #expect(try outside.names().isEmpty)
      #expect(try outside.metadata().mode == mode)
      try temporary.open().removeTree("target")
    }
  }

  @Test func existingFilesAreNotOverwritten() throws {
    let temporary = try TemporaryFolder()
    try temporary.write(try makeArchive(.none) { try $0.add(plainFile("file")) }, to: "a.tar")
    try temporary.write("precious", to: "target/file")
    #expect(throws: StillError.self) {
      _ = try unpack(
        archive: try temporary.file("a.tar"), into: try temporary.folder("target"))
    }
    #expect(try temporary.read("target/file") == Array("precious".utf8))
  }

  @Test func filesFromMemoryAndRewrittenOnesAreListed() throws {
    let cluster = try FakeCluster()
    let backup = try cluster.temporary.folder("backup")
    var listed: [ManifestFile] = []
    let writer = try ArchiveWriter(
      named: "base", in: backup, compression: .zstd(level: 1), workers: 1, checksum: .crc32c,
      list: { listed.append($0) })
    var tree = cluster.dataTree
    tree.rewrites = ["global/pg_control": { $0 + Array("!".utf8) }]
    try writer.add(tree)
    try writer.add(
      Array("START WAL LOCATION".utf8), as: "backup_label", modified: 5, inManifest: "backup_label")
    let summary = try writer.finish()
    #expect(summary.fileName == "base.tar.zst")
    #expect(summary.files == UInt64(listed.count))
    #expect(
      Set(listed.map(\.path))
        == FakeCluster.listed.union(["backup_label"]).subtracting([
          "pg_tblspc/16402/PG_15_202209061/5/16403"
        ]))
    let manifest = BackupManifest(systemIdentifier: nil, files: listed, walRanges: [])
    let target = try cluster.temporary.folder("target")
    _ = try unpack(
      archive: try cluster.temporary.file("backup/base.tar.zst"), into: target,
      UnpackOptions(expected: ExpectedFiles(manifest, in: .base(tablespaces: [16402]))))
    #expect(try cluster.temporary.read("target/global/pg_control") == Array("control!".utf8))
  }
}
