import StillModel
import StillSystem
import SystemPackage
import Testing

@testable import StillArchive

/// Trees that go into an archive and come out of it, through our own hands and GNU tar's.
@Suite struct RoundTripTests {
  static let compressions: [Compression] = [.zstd(level: 1), .gzip(level: 6), .lz4, .none]

  /// A tree with everything that is hard for tar.
  static func makeTree(_ temporary: TemporaryFolder) throws -> OpenFolder {
    let root = try temporary.folder("source")
    try temporary.write("", to: "source/empty")
    try temporary.write("hello\n", to: "source/small")
    try temporary.write(sampleBytes(512), to: "source/one block")
    try temporary.write(sampleBytes(9_000_001), to: "source/base/large")
    let long = String(repeating: "n", count: 255)
    try temporary.write("long", to: "source/\(long)")
    let deep = Array(repeating: String(repeating: "d", count: 60), count: 6).joined(separator: "/")
    try temporary.write("deep", to: "source/\(deep)/file")
    try temporary.write(
      "exact",
      to: "source/\(String(repeating: "p", count: 99))/" + String(repeating: "q", count: 100))
    // Not UTF-8, neither short nor long.
    for name in [[0xFF, 0x61, 0xFE], [UInt8](repeating: 0xE4, count: 200)] as [[UInt8]] {
      let file = try root.file(FilePath(bytes: name), .create(permissions: 0o640))
      try file.writeAll(Array("latin".utf8))
    }
    try root.makeLink("short link", to: Array("../somewhere".utf8))
    try root.makeLink("long link", to: Array(String(repeating: "t/", count: 150).utf8))
    try root.makeLink("raw link", to: [0xFF, 0xFE])
    try Program.run("mkdir", "-m", "1750", "sticky", in: root.path.string)
    try Program.run("mkdir", "-m", "500", "locked", in: root.path.string)
    let attributed = try root.file("small")
    try attributed.setExtendedAttribute(
      .init(name: Array("user.binary".utf8), value: [0, 0xFF, UInt8(ascii: "="), 10]))
    try attributed.setExtendedAttribute(.init(name: Array("user.empty".utf8), value: []))
    try attributed.setExtendedAttribute(.init(name: Array("user.a=b%3D%".utf8), value: [1]))
    try root.folder("sticky").setExtendedAttribute(
      .init(name: Array("user.note".utf8), value: sampleBytes(2000)))
    // A user with a name, and numbers that nobody has.
    try Program.run(
      "setfacl", "-m", "u:daemon:rwx,u:54321:r--,g:sys:-w-,m::rw-", "one block", "locked",
      in: root.path.string)
    try Program.run(
      "setfacl", "-d", "-m", "u:daemon:r-x,g:54322:r--", "sticky", in: root.path.string)
    try root.setPermissions("small", 0o4751)
    try root.setModified("small", seconds: 1_000_000_000, nanoseconds: 123_456_789)
    try root.setModified("empty", seconds: -2, nanoseconds: 500_000_000)
    try root.setModified("short link", seconds: 1_500_000_000, nanoseconds: 5)
    try root.setModified("one block", seconds: 0, nanoseconds: 0)
    return root
  }

  static func archive(
    _ root: OpenFolder, _ temporary: TemporaryFolder, _ compression: Compression,
    workers: Int = 2, checksum: ChecksumAlgorithm = .sha256
  ) throws -> (file: String, manifest: [ManifestFile]) {
    var manifest: [ManifestFile] = []
    let result = try writeArchive(
      named: "base", in: try temporary.open(), compression: compression, workers: workers,
      from: SourceTree(.other(prefix: ""), root: root), manifest: &manifest, checksum: checksum)
    return (result.summary.fileName, manifest)
  }

  @Test(arguments: compressions) func comesBackAsItWas(_ compression: Compression) throws {
    let temporary = try TemporaryFolder()
    let source = try RoundTripTests.makeTree(temporary)
    let name = try RoundTripTests.archive(source, temporary, compression).file
    let target = try temporary.folder("target")
    let summary = try unpack(archive: try temporary.file(name), into: target)
    #expect(try listing(target) == listing(source))
    #expect(summary.files == 9)
    #expect(summary.links == 3)
    #expect(try listing(source).contains { $0.contains("user:daemon:rwx:1") })
    #expect(try listing(source).contains { $0.contains("group:54322:r--") })
  }

  @Test(arguments: compressions) func isReadByGNUTar(_ compression: Compression) throws {
    let temporary = try TemporaryFolder()
    let source = try RoundTripTests.makeTree(temporary)
    let name = try RoundTripTests.archive(source, temporary, compression).file
    let target = try temporary.folder("target")
    // tar knows the others by themselves.
    let program = compression == .lz4 ? ["-I", "lz4"] : []
    try Program.run(
      ["tar", "--xattrs", "--xattrs-include=*", "--acls", "-xpf", name, "-C", "target"] + program,
      in: temporary.path)
    #expect(try listing(target) == listing(source))
  }
}
