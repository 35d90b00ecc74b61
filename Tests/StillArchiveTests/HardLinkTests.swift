import StillModel
import StillSystem
import SystemPackage
import Testing

@testable import StillArchive

/// Files with several names are one file again, through our own hands and GNU tar's.
@Suite struct HardLinkTests {
  private static let content = sampleBytes(3_000_000)
  private static let long = FilePath(String(repeating: "l", count: 120))
  /// The names of one file, and of another.
  private static let names: [[FilePath]] = [
    ["base/5/1", "base/5/2", long, "last"], ["empty", "other empty"],
  ]

  private static func makeTree(_ temporary: TemporaryFolder) throws -> OpenFolder {
    try temporary.write(content, to: "source/base/5/1")
    try temporary.write([], to: "source/empty")
    try temporary.write("control", to: "source/global/pg_control")
    try temporary.write("single", to: "source/single")
    let root = try temporary.folder("source")
    for all in names {
      for name in all.dropFirst() { try root.makeHardLink(of: all[0], in: root, name) }
    }
    // A name outside, which no archive comes to.
    try root.makeHardLink(of: "single", in: temporary.open(), "outside")
    return root
  }

  private static func backUp(
    _ root: OpenFolder, _ temporary: TemporaryFolder, _ compression: Compression = .none
  ) throws -> BackupManifest {
    var files: [ManifestFile] = []
    let exclusions = Exclusions(majorVersion: 15, isCleanlyShutDown: false)
    _ = try writeArchive(
      named: "base", in: try temporary.open(), compression: compression, workers: 2,
      from: SourceTree(.dataDirectory(exclusions), root: root), manifest: &files,
      checksum: .sha256)
    return BackupManifest(systemIdentifier: nil, files: files, walRanges: [])
  }

  private func expectLinked(_ target: OpenFolder, at place: SourceLocation = #_sourceLocation)
    throws
  {
    for names in HardLinkTests.names {
      let all = try names.map { try target.metadata(of: $0) }
      #expect(Set(all.map(\.inode)).count == 1, "\(names)", sourceLocation: place)
      #expect(all[0].linkCount == UInt64(names.count), "\(names)", sourceLocation: place)
    }
    #expect(try target.metadata(of: "single").linkCount == 1, sourceLocation: place)
    let found = try target.file("last").readAll()
    #expect(found == HardLinkTests.content, sourceLocation: place)
  }

  @Test(arguments: RoundTripTests.compressions) func comeBack(_ compression: Compression) throws {
    let temporary = try TemporaryFolder()
    let root = try HardLinkTests.makeTree(temporary)
    let manifest = try HardLinkTests.backUp(root, temporary, compression)
    // Each is listed, and its content is there once.
    #expect(manifest.files.count == 8)
    for names in HardLinkTests.names {
      let listed = manifest.files.filter { names.contains($0.path) }
      #expect(listed.count == names.count)
      #expect(Set(listed.map(\.checksum)).count == 1)
      #expect(Set(listed.map(\.size)).count == 1)
    }
    let name = "base.tar" + compression.fileSuffix
    #expect(try temporary.file(name).metadata().size < 3_100_000)
    let target = try temporary.folder("target")
    let summary = try unpack(
      archive: try temporary.file(name), into: target,
      UnpackOptions(expected: ExpectedFiles(manifest, in: .base(tablespaces: []))))
    #expect(summary.files == 8)
    try expectLinked(target)
    #expect(
      try listing(target).filter { !$0.contains("folder") }
        == listing(root).filter { !$0.contains("folder") })
  }

  @Test func areReadByGNUTar() throws {
    let temporary = try TemporaryFolder()
    _ = try HardLinkTests.backUp(try HardLinkTests.makeTree(temporary), temporary)
    let target = try temporary.folder("target")
    try Program.run("tar", "-xpf", "base.tar", "-C", "target", in: temporary.path)
    try expectLinked(target)
  }

  @Test(arguments: ["gnu", "posix", "ustar"]) func ofGNUTarAreRead(_ format: String) throws {
    let temporary = try TemporaryFolder()
    let root = try HardLinkTests.makeTree(temporary)
    if format == "ustar" { try root.remove(HardLinkTests.long) }
    try Program.run(
      "tar", "--format=\(format)", "-cf", "a.tar", "-C", "source", ".", in: temporary.path)
    let target = try temporary.folder("target")
    _ = try unpack(archive: try temporary.file("a.tar"), into: target)
    if format == "ustar" { try target.makeHardLink(of: "last", in: target, HardLinkTests.long) }
    try expectLinked(target)
  }

  private func findings(
    _ temporary: TemporaryFolder, _ manifest: BackupManifest?, _ name: String = "base.tar"
  ) throws -> VerifyFindings {
    try verify(
      archive: try temporary.file(name),
      against: manifest.map { ExpectedFiles($0, in: .base(tablespaces: [])) })
  }

  @Test func areAsGoodAsTheirFile() throws {
    let temporary = try TemporaryFolder()
    let root = try HardLinkTests.makeTree(temporary)
    let manifest = try HardLinkTests.backUp(root, temporary)
    let clean = try findings(temporary, manifest)
    #expect(clean.isClean)
    #expect(clean.goodFiles == 8)
    // Without a manifest too, as in archives of WAL.
    #expect(try findings(temporary, nil).goodFiles == 8)

    var bytes = try temporary.read("base.tar")
    bytes[1_000_000] ^= 1
    try temporary.write(bytes, to: "changed.tar")
    let bad = try findings(temporary, manifest, "changed.tar")
    #expect(Set(bad.bad.map(\.path)) == Set(HardLinkTests.names[0]))
    #expect(bad.bad.last?.fault == "it is another name of base/5/1, which is bad")
    #expect(bad.goodFiles == 4)

    var other = manifest
    let index = try #require(other.files.firstIndex { $0.path == "last" })
    other.files[index].checksum.bytes[0] ^= 1
    #expect(
      try findings(temporary, other).bad == [
        .init(path: "last", fault: "it is another name of base/5/1, which has other content")
      ])
    other.files.remove(at: index)
    #expect(try findings(temporary, other).extra == ["last"])
  }

  @Test func ofFilesThatAreNotThereAreBad() throws {
    let temporary = try TemporaryFolder()
    let archive = try makeArchive(.none) {
      try $0.add(TarMember(path: "link", kind: .hardLink(target: Array("gone".utf8)), mode: 0o600))
    }
    try temporary.write(archive, to: "a.tar")
    let checksum = try RunningChecksum(.crc32c).finish()
    let files = ["link", "gone"].map {
      ManifestFile(
        path: $0, size: 0, modified: CalendarTime(secondsSince1970: 0), checksum: checksum)
    }
    let manifest = BackupManifest(systemIdentifier: nil, files: files, walRanges: [])
    let found = try findings(temporary, manifest, "a.tar")
    #expect(found.missing == ["gone"])
    let bad = VerifyFindings.BadFile(
      path: "link", fault: "it is another name of gone, which is not there")
    #expect(found.bad == [bad])
    #expect(try findings(temporary, nil, "a.tar").bad == [bad])
  }

  /// A file that goes while it is read may leave its number to another one.
  @Test func ofLiveFilesAreFilesOfTheirOwn() throws {
    let temporary = try TemporaryFolder()
    let root = try HardLinkTests.makeTree(temporary)
    var tree = SourceTree(.other(prefix: ""), root: root)
    tree.isFrozen = false
    var listed: [ManifestFile] = []
    _ = try writeArchive(
      named: "live", in: try temporary.open(), compression: .none, workers: 2, from: tree,
      manifest: &listed, checksum: .none)
    let kinds = try entries(of: try temporary.read("live.tar")).map(\.member.kind)
    #expect(kinds.count { $0 == .file } == 8)
  }

  /// The control file gets its name last of all; it cannot be the name of another.
  @Test func theControlFileIsAFileOfItsOwn() throws {
    let temporary = try TemporaryFolder()
    let root = try HardLinkTests.makeTree(temporary)
    try root.makeHardLink(of: "global/pg_control", in: root, "a copy")
    _ = try HardLinkTests.backUp(root, temporary)
    let last = try #require(try entries(of: try temporary.read("base.tar")).last)
    #expect(last.member.path == "global/pg_control")
    #expect(last.content == Array("control".utf8))
  }
}
