import StillModel
import StillSystem
import SystemPackage
import Testing

@testable import StillArchive

@Suite struct VerifyTests {
  private func findings(
    _ cluster: FakeCluster, _ manifest: BackupManifest, _ name: String = "backup/base.tar.zst"
  ) throws -> VerifyFindings {
    try verify(
      archive: try cluster.temporary.file(name),
      against: ExpectedFiles(manifest, in: .base(tablespaces: [16402])))
  }

  @Test func aGoodArchiveIsClean() throws {
    let cluster = try FakeCluster()
    let found = try findings(cluster, try cluster.backUp(.sha256))
    #expect(found.isClean)
    #expect(found.goodFiles == 8)
  }

  @Test func everyFaultIsNamed() throws {
    let cluster = try FakeCluster()
    var manifest = try cluster.backUp(.sha256)
    let paths = manifest.files.map(\.path)
    manifest.files[0].checksum.bytes[3] ^= 1
    manifest.files[1].size += 1
    manifest.files[2].path = "base/5/missing"
    let found = try findings(cluster, manifest)
    #expect(found.bad.map(\.path) == [paths[0], paths[1]])
    #expect(found.missing == ["base/5/missing"])
    #expect(found.extra == [paths[2]])
    #expect(found.goodFiles == 5)
    #expect(!found.isClean)
  }

  @Test func damageIsAFinding() throws {
    let cluster = try FakeCluster()
    let manifest = try cluster.backUp(compression: .none)
    let archive = try cluster.temporary.read("backup/base.tar")
    try cluster.temporary.write(Array(archive[..<(archive.count / 2)]), to: "cut.tar")
    let found = try findings(cluster, manifest, "cut.tar")
    #expect(found.damage.count == 1)
    #expect(found.damage[0].message.contains("cut.tar is damaged"))
    #expect(found.unread.contains("global/pg_control"))
    #expect(found.missing.isEmpty)
    #expect(Int(found.goodFiles) + found.unread.count == 8)
  }

  @Test func changedContentOfAPlainArchiveIsFound() throws {
    let cluster = try FakeCluster()
    let manifest = try cluster.backUp(compression: .none)
    var archive = try cluster.temporary.read("backup/base.tar")
    let content = Array("# nothing".utf8)
    let place = try #require(
      archive.indices.first { archive[$0...].starts(with: content) })
    archive[place] ^= 1
    try cluster.temporary.write(archive, to: "changed.tar")
    #expect(try findings(cluster, manifest, "changed.tar").bad.map(\.path) == ["postgresql.conf"])
  }

  @Test func beingStoppedIsNoFinding() throws {
    let cluster = try FakeCluster()
    let manifest = try cluster.backUp()
    let cancellation = Cancellation()
    cancellation.cancel(StillError(.copying, "stopped"))
    #expect(throws: StillError(.copying, "stopped")) {
      _ = try verify(
        archive: try cluster.temporary.file("backup/base.tar.zst"),
        against: ExpectedFiles(manifest, in: .base(tablespaces: [16402])),
        cancellation: cancellation)
    }
  }
}
