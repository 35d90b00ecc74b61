import StillModel
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

@testable import StillPostgres

/// The WAL of an archive, compared with what recovery needs while it passes by.
@Suite struct ArchivedWALTests {
  private static let size: UInt32 = 1 << 20
  private static let page = 8192
  private static let cluster: UInt64 = 4711

  /// A segment as the server writes it.
  private func segment(
    _ number: UInt64, timeline: UInt32 = 1, of cluster: UInt64 = Self.cluster,
    at address: UInt64? = nil
  ) -> [UInt8] {
    var bytes = [UInt8](repeating: 0x5A, count: Int(Self.size))
    func put(_ value: some FixedWidthInteger, _ offset: Int) {
      withUnsafeBytes(of: value.littleEndian) {
        bytes.replaceSubrange(offset..<offset + $0.count, with: $0)
      }
    }
    for first in stride(from: 0, to: bytes.count, by: Self.page) {
      put(UInt16(0xD110), first)
      put(UInt16(first == 0 ? 2 : 0), first + 2)
      put(timeline, first + 4)
      put((address ?? number) * UInt64(Self.size) + UInt64(first), first + 8)
    }
    put(cluster, 24)
    put(Self.size, 32)
    put(UInt32(Self.page), 36)
    return bytes
  }

  private func name(_ number: UInt64, timeline: UInt32 = 1) -> String {
    WALSegmentName(timeline: timeline, number: number, size: Self.size).description
  }

  /// What is found where these files pass by, in pieces that end anywhere and come in any order.
  private func problems(
    _ files: [String: [UInt8]], _ ranges: [FrozenWAL.Range], piece: Int = 5000
  ) -> [String] {
    let wal = ArchivedWAL(segmentSize: Self.size, systemIdentifier: Self.cluster)
    for (name, bytes) in files {
      guard let file = wal.file(FilePath(name), size: UInt64(bytes.count)) else { continue }
      bytes.withUnsafeBytes { bytes in
        for start in stride(from: 0, to: bytes.count, by: piece).reversed() {
          let part = bytes[start..<min(start + piece, bytes.count)]
          file.saw(UnsafeRawBufferPointer(rebasing: part), at: UInt64(start))
        }
      }
      file.ended()
    }
    return wal.problems(needed: ranges)
  }

  private func range(_ first: Double, _ last: Double, timeline: UInt32 = 1) -> FrozenWAL.Range {
    FrozenWAL.Range(
      timeline: timeline, start: LSN(UInt64(first * Double(Self.size))),
      end: LSN(UInt64(last * Double(Self.size))))
  }

  /// Segments 3, 4 and 5, of which the log fills two and a half.
  private var good: [String: [UInt8]] {
    [name(3): segment(3), name(4): segment(4), name(5): segment(5)]
  }

  private let needed = FrozenWAL.Range(
    timeline: 1, start: LSN(UInt64(size) * 3 + 40), end: LSN(UInt64(size) * 5 + 500_000))

  @Test(
    "What is whole is good, however it is cut into pieces", arguments: [11, 5000, 8192, 1 << 20])
  func whole(piece: Int) {
    #expect(problems(good, [needed], piece: piece) == [])
  }

  @Test("A segment that is missing is named", arguments: [3, 4, 5] as [UInt64])
  func missing(_ number: UInt64) {
    var files = good
    files[name(number)] = nil
    #expect(
      problems(files, [needed]) == [
        "WAL segment \(name(number)), which the backup needs, is missing"
      ])
  }

  @Test("A segment of another size, cluster, place or timeline is named")
  func foreign() {
    let cases: [([UInt8], String)] = [
      (Array(segment(4).dropLast(8192)), "has 1040384 bytes instead of 1048576"),
      (segment(4, of: 1), "belongs to another cluster"),
      (segment(4, at: 2), "holds the log from 0/200000 instead"),
      (segment(4, timeline: 2), "is on timeline 2 at 0/400000"),
      ([UInt8](repeating: 0, count: Int(Self.size)), "is full of zeros"),
      ([UInt8](repeating: 0xEE, count: Int(Self.size)), "holds something that is not WAL"),
    ]
    for (bytes, fault) in cases {
      var files = good
      files[name(4)] = bytes
      #expect(
        problems(files, [needed]) == ["WAL segment \(name(4)), which the backup needs, \(fault)"])
    }
  }

  @Test("A segment that was cut in the middle is named, with the place")
  func cut() {
    var files = good
    var bytes = segment(5)
    bytes.replaceSubrange(
      8192 * 40..<bytes.count, with: repeatElement(0, count: bytes.count - 8192 * 40))
    files[name(5)] = bytes
    #expect(
      problems(files, [needed]) == [
        "WAL segment \(name(5)), which the backup needs, ends at 0/550000: from there it is full of "
          + "zeros"
      ])
    // What is beyond the end need not be there.
    #expect(problems(files, [range(3.5, 5.25)]) == [])
  }

  @Test("One page of an older segment in the middle of a segment is found")
  func stalePage() {
    var files = good
    var bytes = segment(4)
    bytes.replaceSubrange(8192 * 7..<8192 * 8, with: segment(4, at: 1)[8192 * 7..<8192 * 8])
    files[name(4)] = bytes
    #expect(
      problems(files, [needed]) == [
        "WAL segment \(name(4)), which the backup needs, ends at 0/40E000: from there it holds the "
          + "log from 0/10E000 instead"
      ])
  }

  @Test("After a segment switch zeros are good, up to the next segment only")
  func segmentSwitch() {
    var files = good
    var bytes = segment(4)
    bytes.replaceSubrange(
      8192 * 40..<bytes.count, with: repeatElement(0, count: bytes.count - 8192 * 40))
    files[name(4)] = bytes
    #expect(problems(files, [needed]) == [])
    bytes.replaceSubrange(8192 * 50..<8192 * 51, with: segment(4)[8192 * 50..<8192 * 51])
    files[name(4)] = bytes
    #expect(problems(files, [needed]).count == 1)
  }

  // MARK: Timelines

  /// The log goes over to timeline 2 in the middle of segment 4.
  private func branched() -> (files: [String: [UInt8]], ranges: [FrozenWAL.Range]) {
    var second = segment(4)
    let switched = 8192 * 64
    second.replaceSubrange(switched..<second.count, with: segment(4, timeline: 2)[switched...])
    return (
      [
        name(3): segment(3), name(4): segment(4), name(4, timeline: 2): second,
        name(5, timeline: 2): segment(5, timeline: 2),
        "00000002.history": Array("1\t0/480000\tno recovery target specified\n".utf8),
      ], [range(4.5, 5.5, timeline: 2), range(3.5, 4.5)]
    )
  }

  @Test("A log that goes over to another timeline is followed there")
  func timelines() {
    let (files, ranges) = branched()
    #expect(problems(files, ranges) == [])
    for gone in [name(3), name(4, timeline: 2), name(5, timeline: 2)] {
      var rest = files
      rest[gone] = nil
      #expect(
        problems(rest, ranges) == ["WAL segment \(gone), which the backup needs, is missing"])
    }
  }

  @Test("Without its history a log that changes timelines cannot be followed")
  func history() {
    var (files, ranges) = branched()
    files["00000002.history"] = nil
    #expect(
      problems(files, ranges) == [
        "the history file 00000002.history, which the backup needs, is missing"
      ])
    files["00000002.history"] = Array("1\t0/410000\tsomewhere else\n".utf8)
    #expect(
      problems(files, ranges) == [
        "the history file 00000002.history does not have 0/380000 to 0/480000 on timeline 1, as the "
          + "manifest says"
      ])
    files["00000002.history"] = Array("nonsense\n".utf8)
    #expect(problems(files, ranges).first?.hasPrefix("00000002.history: ") == true)
    // Whoever was there from the beginning needs none.
    ranges = [range(4.75, 5.5, timeline: 2)]
    files["00000002.history"] = nil
    #expect(problems(files, ranges) == [])
  }

  @Test("A hole between the ranges of a manifest, or no range at all")
  func holes() {
    let (files, _) = branched()
    let ranges = [range(3.5, 4.25), range(4.5, 5.5, timeline: 2)]
    #expect(problems(files, ranges).first?.hasPrefix("the manifest's WAL has a hole") == true)
    #expect(problems(files, []) == ["the manifest names no WAL"])
  }

  // MARK: The server's own

  @Test("What a server writes is found good, also after a promotion")
  func real() throws {
    let primary = try ThrowAwayCluster(initdb: ["--wal-segsize=1"])
    let standby = try ThrowAwayCluster(standbyOf: primary)
    try primary.sql(
      "CREATE TABLE t AS SELECT repeat('x', 500) FROM generate_series(1, 6000)",
      "SELECT pg_switch_wal()", "INSERT INTO t SELECT 'y' FROM generate_series(1, 6000)")
    let position = try primary.sql("SELECT pg_current_wal_lsn()")
    while try standby.sql("SELECT pg_last_wal_replay_lsn() >= '\(position)'") != "t" {}
    try standby.promote()
    try standby.sql("INSERT INTO t SELECT 'z' FROM generate_series(1, 6000)")
    try standby.stop("immediate")

    let data = try DataDirectory.open(standby.dataDirectory)
    let folder = try data.folder.folder("pg_wal")
    let frozen = try FrozenWAL.examine(folder, data.control)
    let ranges = frozen.manifestRanges(
      flushed: nil, minimumRecoveryPoint: data.control.minimumRecoveryPoint)
    let wal = ArchivedWAL(
      segmentSize: data.control.walSegmentSize, systemIdentifier: data.control.systemIdentifier)
    for path in frozen.segments.map({ FilePath($0.description) }) + frozen.histories {
      let bytes = try folder.file(path).readAll()
      guard let file = wal.file(path, size: UInt64(bytes.count)) else { continue }
      bytes.withUnsafeBytes { file.saw($0, at: 0) }
      file.ended()
    }
    #expect(frozen.segments.count > 3)
    #expect(wal.problems(needed: ranges) == [])
    let all = FrozenWAL.Range(timeline: 2, start: ranges[0].start, end: frozen.end)
    #expect(wal.problems(needed: ranges.dropFirst() + [all]) == [])
    let more = FrozenWAL.Range(
      timeline: 2, start: ranges[0].start, end: LSN(frozen.end.position + (1 << 20)))
    #expect(wal.problems(needed: ranges.dropFirst() + [more]).isEmpty == false)
  }

  @Test("A manifest that names more WAL than anybody has is answered in a few lines")
  func absurdRanges() throws {
    let many = problems(
      [:],
      [
        FrozenWAL.Range(
          timeline: 1, start: LSN(UInt64(Self.size)), end: LSN(UInt64(Self.size) * 3000))
      ])
    #expect(many.first?.contains("is missing") == true)
    #expect(many.count < 100)
    let end = UInt64.max - 5
    for start in [UInt64(Self.size), end - 100] {
      let found = problems(
        [:], [FrozenWAL.Range(timeline: 1, start: LSN(start), end: LSN(end))])
      #expect(!found.isEmpty && found.count < 100)
    }
  }
}
