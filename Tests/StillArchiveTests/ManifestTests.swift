import StillModel
import StillSystem
import SystemPackage
import Testing

@testable import StillArchive

@Suite struct ManifestTests {
  private static let sample = BackupManifest(
    systemIdentifier: nil,
    files: [
      ManifestFile(
        path: "base/1/1259", size: 114_688, modified: CalendarTime(secondsSince1970: 1_795_226_400),
        checksum: Checksum(algorithm: .crc32c, bytes: [0x8A, 0x74, 0x47, 0x22])),
      ManifestFile(
        path: FilePath(bytes: [0x61, 0xFF]), size: 0, modified: CalendarTime(secondsSince1970: 0),
        checksum: .none),
      ManifestFile(
        path: "a \"quoted\\\u{1}\n\u{e4}", size: 1, modified: CalendarTime(secondsSince1970: 1),
        checksum: .none),
    ], walRanges: [WALRange(timeline: 1, start: LSN(0x200_0028), end: LSN(0xA_0200_0100))])

  private func written(_ manifest: BackupManifest) throws -> [UInt8] {
    let temporary = try TemporaryFolder()
    try manifest.write(to: try temporary.file("m", .create(permissions: 0o600)))
    return try temporary.read("m")
  }

  private func read(_ bytes: [UInt8]) throws -> BackupManifest {
    let temporary = try TemporaryFolder()
    try temporary.write(bytes, to: "backup_manifest")
    return try BackupManifest.read(from: try temporary.file("backup_manifest"))
  }

  @Test func isWrittenAsTheServerDoes() throws {
    let text = String(decoding: try written(ManifestTests.sample), as: UTF8.self)
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    let expected = #"""
      { "PostgreSQL-Backup-Manifest-Version": 1,
      "Files": [
      { "Path": "base/1/1259", "Size": 114688, "Last-Modified": "2026-11-21 02:00:00 GMT", \#
      "Checksum-Algorithm": "CRC32C", "Checksum": "8a744722" },
      { "Encoded-Path": "61ff", "Size": 0, "Last-Modified": "1970-01-01 00:00:00 GMT" },
      { "Path": "a \"quoted\\\u0001\nä", "Size": 1, "Last-Modified": "1970-01-01 00:00:01 GMT" }
      ],
      "WAL-Ranges": [
      { "Timeline": 1, "Start-LSN": "0/2000028", "End-LSN": "A/2000100" }
      ],
      """#
    let body = lines.dropLast(2).joined(separator: "\n")
    #expect(body == expected)
    #expect(text.hasSuffix("\"}\n"))
  }

  @Test func theChecksumIsThatOfAllButTheLastLine() throws {
    let temporary = try TemporaryFolder()
    try temporary.write(try written(ManifestTests.sample), to: "m")
    let sum = try Program.run(
      "sh", "-c", "head -n -1 m | sha256sum | cut -d' ' -f1", in: temporary.path)
    let last = try Program.run("tail", "-n", "1", "m", in: temporary.path)
    let expected = String(decoding: sum.dropLast(), as: UTF8.self)
    #expect(String(decoding: last, as: UTF8.self) == "\"Manifest-Checksum\": \"\(expected)\"}\n")
  }

  @Test func comesBackAsItWas() throws {
    #expect(try read(written(ManifestTests.sample)) == ManifestTests.sample)
    var second = ManifestTests.sample
    second.systemIdentifier = 7_300_000_000_000_000_000
    let bytes = try written(second)
    #expect(
      String(decoding: bytes, as: UTF8.self).contains(
        "Version\": 2,\n\"System-Identifier\": 7300000000000000000,\n\"Files\": ["))
    #expect(try read(bytes) == second)
    let empty = BackupManifest(systemIdentifier: nil, files: [], walRanges: [])
    #expect(try read(written(empty)) == empty)
  }

  @Test func everyChangedByteIsFound() throws {
    let bytes = try written(ManifestTests.sample)
    for position in stride(from: 0, to: bytes.count, by: 3) {
      var changed = bytes
      changed[position] ^= 1
      #expect(throws: StillError.self, "\(position)") { try read(changed) }
    }
    for cut in [0, 1, 50, bytes.count - 100, bytes.count - 1] {
      let error = #expect(throws: StillError.self, "\(cut)") { try read(Array(bytes[..<cut])) }
      #expect(error?.message.contains("/backup_manifest is damaged") == true)
      #expect(error?.status == .copying)
    }
  }

  @Test func aFileListedTwiceIsMissingOnce() throws {
    let cluster = try FakeCluster()
    var manifest = try cluster.backUp(.sha256)
    manifest.files.insert(manifest.files[2], at: 3)
    let found = try verify(
      archive: try cluster.temporary.file("backup/base.tar.zst"),
      against: ExpectedFiles(manifest, in: .base(tablespaces: [16402])))
    #expect(found.missing == [manifest.files[2].path])
    #expect(found.goodFiles == 8)
  }

  /// Our own archives hold their files in the manifest's order; nothing depends on it.
  @Test func filesInAnotherOrderAreFound() throws {
    let cluster = try FakeCluster()
    var manifest = try cluster.backUp(.sha256)
    manifest.files.reverse()
    for (name, archive, count) in [
      ("base", ExpectedFiles.Archive.base(tablespaces: [16402]), UInt64(8)),
      ("16402", .tablespace(16402), 1),
    ] {
      let found = try verify(
        archive: try cluster.temporary.file("backup/\(name).tar.zst"),
        against: ExpectedFiles(manifest, in: archive))
      #expect(found.isClean)
      #expect(found.goodFiles == count)
    }
  }

  @Test func checksumsAreThoseOfTheProgramsAround() throws {
    let temporary = try TemporaryFolder()
    let content = sampleBytes(100_003)
    try temporary.write(content, to: "f")
    for (algorithm, program) in [
      (ChecksumAlgorithm.sha224, "sha224sum"), (.sha256, "sha256sum"), (.sha384, "sha384sum"),
      (.sha512, "sha512sum"),
    ] {
      let running = try RunningChecksum(algorithm)
      let theirs = try Program.run(program, "f", in: temporary.path).prefix { $0 != 32 }
      // Twice, because a running checksum is used for one file after the other.
      for _ in 0..<2 {
        content[..<7].withUnsafeBytes { running.update($0) }
        content[7...].withUnsafeBytes { running.update($0) }
        #expect(Array(running.finish().description.utf8) == Array(theirs))
      }
    }
    let crc = try RunningChecksum(.crc32c)
    Array("15\n".utf8).withUnsafeBytes { crc.update($0) }
    #expect(crc.finish().description == "8a744722")
  }
}
