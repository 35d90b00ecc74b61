import StillModel
import Testing

@Suite struct WALPageHeaderTests {
  /// magic D110 (PostgreSQL 15), flags, timeline 3, address 1/2000, 100 bytes to come.
  private func bytes(flags: UInt8) -> [UInt8] {
    [0x10, 0xD1, flags, 0, 3, 0, 0, 0, 0, 0x20, 0, 0, 1, 0, 0, 0, 100, 0, 0, 0, 0, 0, 0, 0]
  }

  @Test func anOrdinaryPage() throws {
    let header = try #require(WALPageHeader(bytes: bytes(flags: 1)))
    #expect(header.magic == 0xD110)
    #expect(header.timeline == 3)
    #expect(header.address == LSN("1/2000"))
    #expect(header.remaining == 100)
    #expect(header.continuesRecord)
    #expect(header.segment == nil)
  }

  @Test func theFirstPageOfASegment() throws {
    let long: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 1, 0, 0x20, 0, 0]
    let header = try #require(WALPageHeader(bytes: bytes(flags: 2) + long))
    #expect(!header.continuesRecord)
    #expect(
      header.segment
        == .init(systemIdentifier: 0x0807_0605_0403_0201, segmentSize: 16 << 20, pageSize: 8192))
    #expect(WALPageHeader(bytes: bytes(flags: 2)) == nil, "the long part is missing")
  }

  @Test func noHeader() {
    #expect(WALPageHeader(bytes: []) == nil)
    #expect(WALPageHeader(bytes: [UInt8](repeating: 0, count: 40)) == nil)
    #expect(WALPageHeader(bytes: [UInt8](repeating: 0xFF, count: 40)) == nil)
    #expect(WALPageHeader(bytes: Array(bytes(flags: 0).dropLast())) == nil)
  }

  @Test func recordsEndWhereTheLogDoes() {
    func end(_ start: UInt64, _ length: UInt32) -> UInt64 {
      WALRecordSpan(start: LSN(start), length: length, pageSize: 8192, segmentSize: 1 << 20)
        .end.position
    }
    #expect(end(40, 114) == 154)
    #expect(end(8192 - 24, 24) == 8192, "it fills its page")
    #expect(end(8192 - 24, 25) == 8192 + 24 + 1)
    #expect(end(8192 - 8, 8 + 8168 + 1) == 2 * 8192 + 24 + 1, "over a whole page")
    #expect(end((1 << 20) - 8, 9) == (1 << 20) + 40 + 1, "into the next segment")
    #expect(WALRecordSpan.length([114, 0, 0, 0]) == 114)
    #expect(WALRecordSpan.length([0, 0, 0, 0]) == nil)
    #expect(WALRecordSpan.length([0xFF, 0xFF, 0xFF, 0xFF]) == nil)
  }
}
