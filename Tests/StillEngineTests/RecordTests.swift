import Foundation
import StillModel
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

@testable import StillEngine

/// Records that are sealed well and cannot be understood all the same: nobody may trip over them.
@Suite struct RecordTests {
  private func refused(
    _ change: (inout BackupRecord) -> Void, at location: SourceLocation = #_sourceLocation
  ) throws -> String {
    let small = try SmallBackup(.none)
    var record = try small.backup.record()
    change(&record)
    try RecordFile.replace(record, in: small.backup.folder)
    let failure = #expect(throws: StillError.self, sourceLocation: location) {
      try small.backup.record()
    }
    #expect(failure?.status == .copying, sourceLocation: location)
    return failure?.message ?? ""
  }

  @Test("A record of a newer pgstill is refused, for it may say what this one does not know")
  func newer() throws {
    #expect(try refused { $0.format = BackupRecord.currentFormat + 1 }.contains("newer pgstill"))
    // A newer one may have other members, too.
    let small = try SmallBackup(.none)
    var record = try small.backup.record()
    record.format = 1
    try RecordFile.replace(record, in: small.backup.folder)
    #expect(try small.backup.record() == record)
  }

  @Test("A record of an earlier pgstill, whose looks do not know how far the copy was, is read")
  func looks() throws {
    let small = try SmallBackup(.none)
    var record = try small.backup.record()
    record.fillHistory = [.init(seconds: 1, used: [4096])]
    let text = String(decoding: try JSONEncoder().encode(record), as: UTF8.self)
    #expect(
      text.contains("{\"seconds\":1,\"used\":[4096]}")
        || text.contains("{\"used\":[4096],\"seconds\":1}"))
    #expect(try JSONDecoder().decode(BackupRecord.self, from: Data(text.utf8)) == record)
    record.fillHistory[0].copied = 1 << 40
    try RecordFile.replace(record, in: small.backup.folder)
    #expect(try small.backup.record().fillHistory[0].copied == 1 << 40)
  }

  private static func mirror(part: String = "base") -> BackupRecord.Mirror {
    .init(
      sharedWith: nil, sharing: .init(),
      parts: [.init(name: part, files: 1, bytes: 1, folders: [], links: [], unlisted: [])])
  }

  static let absurd: [(String, @Sendable (inout BackupRecord) -> Void)] = [
    ("WAL segments", { $0.server.walSegmentSize = 0 }),
    ("WAL segments", { $0.server.walSegmentSize = 1 << 32 + 1 << 20 }),
    ("archives", { $0.archives[0].bytesRead = .max }),
    ("something else too", { $0.mirror = mirror() }),
    (
      "a part that no backup has",
      {
        $0.archives = []
        $0.mirror = mirror(part: "..")
      }
    ),
    (
      "files of more",
      {
        $0.archives = []
        $0.mirror = mirror()
        $0.mirror?.sharing.cloned = .max
      }
    ),
    ("archives", { $0.archives[0].bytesWritten = 1 << 63 }),
    ("archives", { $0.archives[0].files = .max }),
    ("archives", { $0.archives[0].members = -1 }),
    (
      "snapshots",
      {
        $0.extensions = [
          .init(seconds: 1, origin: VolumeName(group: "g", volume: "v"), from: 0, to: .max)
        ]
      }
    ),
    ("snapshots", { $0.fillHistory = [.init(seconds: 1, used: [], copied: .max)] }),
    ("tablespaces", { $0.tablespaces.append($0.tablespaces[0]) }),
    ("times", { $0.phases[0].seconds = 1e300 }),
    (
      "times",
      { $0.proof = .init(at: $0.began, seconds: -1e18, postgres: "15", checks: [], problems: []) }
    ),
    (
      "times",
      { $0.downtime = .init(seconds: 1, stopSeconds: 1e300, stoppedWith: "", startedWith: "") }
    ),
    (
      "times",
      {
        $0.freeze = .init(
          at: $0.began, beganMicroseconds: 0, windowMilliseconds: 1e300, skewMilliseconds: 0,
          volumes: [])
      }
    ),
  ]

  @Test("A record that is too large to be read is not written")
  func large() throws {
    let small = try SmallBackup(.none)
    var record = try small.backup.record()
    record.missing = [String(repeating: "x", count: RecordFile.mostBytes)]
    let failure = #expect(throws: StillError.self) {
      try RecordFile.replace(record, in: small.backup.folder)
    }
    #expect(failure?.status == .copying)
    #expect(failure?.message.contains("nobody reads more than 64.0 MiB") == true)
    #expect(try small.backup.record().missing == [])
  }

  @Test("Values that no backup has", arguments: absurd.indices)
  func values(_ index: Int) throws {
    let (word, change) = RecordTests.absurd[index]
    #expect(try refused(change).contains(word))
  }
}
