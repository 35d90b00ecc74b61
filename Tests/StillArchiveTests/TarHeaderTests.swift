import StillModel
import StillSystem
import SystemPackage
import Testing

@testable import StillArchive

/// Headers alone, for what would take gigabytes to try with files.
@Suite struct TarHeaderTests {
  /// The member that is read from a member's own header, with its content announced but not there.
  private func reread(_ member: TarMember) throws -> TarMember {
    var header = member.encodedHeader()
    var records: [[UInt8]: [UInt8]] = [:]
    if header.count > 512 {
      let size = Int(try TarHeaderFields(Array(header[..<512])).number(TarFormat.size, ""))
      for record in try #require(PaxRecords.parse(Array(header[512..<(512 + size)]))) {
        records[record.key] = record.value
      }
      header.removeFirst(header.count - 512)
    }
    return try TarHeaderFields(header).member(records: records, longName: nil, longLink: nil)
  }

  @Test(arguments: [0, 1, (1 << 33) - 1, 1 << 33, 1 << 50, 1 << 62] as [UInt64])
  func sizesAreKept(_ size: UInt64) throws {
    var member = plainFile("a")
    member.size = size
    #expect(try reread(member) == member)
    // A reader that knows no PAX finds it in the header, too.
    let header = Array(member.encodedHeader().suffix(512))
    #expect(try TarHeaderFields(header).number(TarFormat.size, "") == size)
  }

  /// Nor could anybody add to one that is larger yet.
  @Test(arguments: [UInt64(Int64.max) + 1, .max]) func sizesThatNoFileHasAreRefused(
    _ size: UInt64
  ) throws {
    var member = plainFile("a")
    member.size = size
    #expect(throws: DamagedStream.self) { try reread(member) }
    let header = Array(member.encodedHeader().suffix(512))
    let bare = try TarHeaderFields(header)
    #expect(throws: DamagedStream.self) {
      try bare.member(records: [:], longName: nil, longLink: nil)
    }
    #expect(throws: DamagedStream.self) { try SparseMap(size: size, read: [(0, 512)]) }
  }

  @Test func ownersOfAnyNumberAreKept() throws {
    for owner in [0, 2_097_151, 2_097_152, UInt32.max - 1] {
      var member = plainFile("a")
      (member.owner, member.group) = (owner, owner)
      member.ownerName = Array("postgres".utf8)
      member.groupName = [UInt8](repeating: UInt8(ascii: "g"), count: 40)
      #expect(try reread(member) == member)
    }
  }

  @Test func timesAreKept() throws {
    let times: [(Int64, Int64)] = [
      (0, 0), (0, 1), (1_700_000_000, 250_000_000), (-1, 0), (-1, 999_999_999), (-2, 500_000_000),
      (1 << 33, 0), (1 << 35, 120),
    ]
    for (seconds, nanoseconds) in times {
      var member = plainFile("a")
      (member.modifiedSeconds, member.modifiedNanoseconds) = (seconds, nanoseconds)
      #expect(try reread(member) == member, "\(seconds) \(nanoseconds)")
    }
  }

  @Test func namesOfEveryLengthAreKept() throws {
    for length in 1...600 {
      // A slash every 41 bytes, so that some can be divided and some cannot.
      let name = (0..<length).map { index -> UInt8 in
        index % 41 == 40 && index < length - 1 ? UInt8(ascii: "/") : UInt8(ascii: "n")
      }
      let file = plainFile(FilePath(bytes: name))
      #expect(try reread(file) == file)
      var folder = TarMember(path: FilePath(bytes: name), kind: .folder, mode: 0o700)
      #expect(try reread(folder) == folder)
      folder.kind = .link(target: name)
      #expect(try reread(folder) == folder)
    }
  }

  @Test func anOrdinaryMemberNeedsOneBlockOnly() {
    var member = plainFile("base/1/1259")
    member.modifiedSeconds = 1_700_000_000
    #expect(member.encodedHeader().count == 512)
  }

  @Test(arguments: [
    "1700000000.12345678\u{E9}", "1.-5", "1.x", "--1", "-", ".5", "1.5.5", "9e9",
  ])
  func timesThatAreNoneAreRefused(_ time: String) throws {
    var records = PaxRecords()
    // One byte of the last character only: no UTF-8.
    records.add("mtime", Array(time.utf8.prefix(20)))
    var pax = TarMember(path: "pax", kind: .other(UInt8(ascii: "x")), mode: 0o644)
    pax.size = UInt64(records.bytes.count)
    let archive =
      pax.encodedHeader() + records.padded + plainFile("file").encodedHeader()
      + [UInt8](repeating: 0, count: 1024)
    let error = #expect(throws: StillError.self) { _ = try entries(of: archive) }
    #expect(error?.message.contains("the time in an extended header is wrong") == true)
  }

  @Test func recordLengthsCountThemselves() throws {
    for length in [1, 5, 6, 7, 90, 91, 92, 93, 94, 980, 990, 991, 992, 993, 9990] {
      var records = PaxRecords()
      records.add("k", [UInt8](repeating: 0xFF, count: length))
      let text = String(decoding: records.bytes.prefix { $0 != UInt8(ascii: " ") }, as: UTF8.self)
      #expect(Int(text) == records.bytes.count)
      #expect(PaxRecords.parse(records.bytes)?.first?.value.count == length)
    }
  }

  @Test(arguments: ["5", "x a=b\n", "3 a\n", "99 a=b\n", "6 a=bc", "-6 a=b\n", "6 a=b\n7 a=b\n"])
  func brokenRecordsAreRefused(_ text: String) {
    #expect(PaxRecords.parse(Array(text.utf8)) == nil)
  }
}
