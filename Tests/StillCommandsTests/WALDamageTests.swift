import Foundation
import StillArchive
import StillModel
import StillTestSupport
import SystemPackage
import Testing

@testable import StillEngine

/// WAL that is not what recovery needs, in an archive that is whole and a record that says so: only its
/// pages tell.
@Suite struct WALDamageTests {
  private let damaged: Damaged
  private let segment: WALSegmentName

  init() throws {
    damaged = try Damaged(Site.shared.get(), .none)
    segment = try #require(
      WALSegmentName(
        damaged.record.wal.segmentsKept[0],
        size: UInt32(damaged.record.server.walSegmentSize)))
  }

  private var archive: String { damaged.backup.appending("pg_wal.tar").string }

  /// Makes the record one of the archive as it is now.
  private func seal(filesLess: Int = 0) throws {
    var record = damaged.record
    let index = try #require(record.archives.firstIndex { $0.name == "pg_wal.tar" })
    let sum = try Tool.demand("sha256sum", archive).prefix { $0 != " " }
    record.archives[index].checksum = "SHA256:\(sum)"
    record.archives[index].files -= filesLess
    try RecordFile.replace(record, in: .open(damaged.backup))
    try TestFolder.give(damaged.place.path, to: FakeHost.owner)
  }

  /// Changes the first page of the segment, by an offset in it.
  private func change(at offset: Int, _ mask: UInt8) throws {
    var bytes = [UInt8](try Data(contentsOf: URL(filePath: archive)))
    let address = withUnsafeBytes(of: segment.start.position.littleEndian) { Array($0) }
    let start = try #require(
      stride(from: 0, to: bytes.count, by: 512).first {
        bytes[($0 + 8)..<($0 + 16)] == address[...]
      })
    bytes[start + offset] ^= mask
    try Data(bytes).write(to: URL(filePath: archive))
  }

  @Test("What was resealed, and is as it was, is good")
  func unchanged() throws {
    try seal()
    let outcome = try PgstillProgram.run(["verify", damaged.id, "--repo", damaged.repository])
    #expect(outcome.status == 0, "\(outcome.output)")
  }

  @Test("A segment that is missing is named")
  func missing() throws {
    try Tool.demand("tar", "--delete", "-f", archive, segment.description)
    try seal(filesLess: 1)
    #expect(
      try damaged.problems() == [
        "pg_wal.tar: WAL segment \(segment), which the backup needs, is missing"
      ])
  }

  @Test("A segment of another cluster is named")
  func foreign() throws {
    try change(at: 24, 0x41)
    try seal()
    #expect(
      try damaged.problems() == [
        "pg_wal.tar: WAL segment \(segment), which the backup needs, belongs to another cluster"
      ])
  }
}
