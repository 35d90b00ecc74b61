import Foundation
import StillModel
import StillSystem
import SystemPackage
import Testing

@testable import StillArchive

/// A hundred thousand files in one folder, through processes of their own: what they need of memory
/// does not grow with the number of files.
@Suite struct ManyFilesTests {
  private static let count = 100_000
  private static let most = 96 << 10
  private static let roleName = "PGSTILL_TEST_ROLE"
  private static let folderName = "PGSTILL_TEST_FOLDER"

  private enum Role: String, CaseIterable { case write, verify, unpack }

  @Test func areNoBurden() throws {
    if let role = Environment.value(ManyFilesTests.roleName).flatMap(Role.init) {
      // This is one of those processes.
      return try play(role, FilePath(try #require(Environment.value(ManyFilesTests.folderName))))
    }
    let temporary = try TemporaryFolder()
    let folder = try temporary.folder("source/base/5")
    for number in 0..<ManyFilesTests.count {
      try folder.file(FilePath("\(number)"), .create(permissions: 0o600))
        .writeAll(Array("relation \(number)".utf8))
    }
    try temporary.write("control", to: "source/global/pg_control")
    _ = try temporary.folder("target")
    for role in Role.allCases {
      let beginning = ContinuousClock.now
      try Program.run(
        "\(ManyFilesTests.roleName)=\(role.rawValue)",
        "\(ManyFilesTests.folderName)=\(temporary.path)",
        FilePath("/proc/self/exe").resolved().string,
        "--testing-library", "swift-testing", "--filter", "ManyFilesTests/areNoBurden")
      let text = String(decoding: try temporary.read("peak-\(role.rawValue)"), as: UTF8.self)
      let peak = try #require(Int(text))
      print("\(role.rawValue): \(peak) KiB, \(ContinuousClock.now - beginning)")
      #expect(peak < ManyFilesTests.most, "\(role.rawValue)")
    }
    let names = try Program.run("tar", "-tf", "base.tar.zst", in: temporary.path)
    #expect(names.count { $0 == UInt8(ascii: "\n") } == ManyFilesTests.count + 5)
    let restored = try temporary.folder("target/base/5")
    #expect(try restored.names().count == ManyFilesTests.count)
    #expect(try restored.file("77777").readAll() == Array("relation 77777".utf8))
  }

  private func play(_ role: Role, _ path: FilePath) throws {
    let folder = try OpenFolder.open(path)
    switch role {
    case .write:
      let manifest = try ManifestWriter(
        folder.file("manifest", .create(permissions: 0o600)), systemIdentifier: nil)
      let writer = try ArchiveWriter(
        named: "base", in: folder, compression: .zstd(level: 1), workers: 2, checksum: .sha256,
        list: { try manifest.add($0) })
      let exclusions = Exclusions(majorVersion: 15, isCleanlyShutDown: false)
      try writer.add(
        SourceTree(.dataDirectory(exclusions), root: try folder.folder("source")))
      #expect(try writer.finish().files == ManyFilesTests.count + 1)
      _ = try manifest.finish([])
    case .verify:
      let found = try verify(archive: try folder.file("base.tar.zst"), against: expected(folder))
      #expect(found.isClean)
      #expect(found.goodFiles == ManyFilesTests.count + 1)
    case .unpack:
      let summary = try unpack(
        archive: try folder.file("base.tar.zst"), into: try folder.folder("target"),
        UnpackOptions(expected: expected(folder)))
      #expect(summary.files == ManyFilesTests.count + 1)
    }
    let status = try OpenFile.open("/proc/self/status").readAll()
    // The most that was in memory at any time, in KiB (proc_pid_status(5)).
    let line = String(decoding: status, as: UTF8.self).split(separator: "\n")
      .first { $0.hasPrefix("VmHWM:") }
    let peak = try #require(line?.split(whereSeparator: \.isWhitespace).dropFirst().first)
    try folder.file(FilePath("peak-\(role.rawValue)"), .create(permissions: 0o600))
      .writeAll(Array(peak.utf8))
  }

  private func expected(_ folder: OpenFolder) throws -> ExpectedFiles {
    ExpectedFiles(try ManifestReader(folder.file("manifest")), in: .base(tablespaces: []))
  }
}
