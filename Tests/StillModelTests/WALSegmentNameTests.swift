import StillModel
import Testing

@Suite struct WALSegmentNameTests {
  @Test func namesAreReadAndWritten() throws {
    let name = try #require(WALSegmentName("000000010000000A000000FE", size: 16 << 20))
    #expect(name.timeline == 1)
    #expect(name.start == LSN("A/FE000000"))
    #expect(name.end == LSN("A/FF000000"))
    #expect(name.description == "000000010000000A000000FE")
    #expect(name.next.next.description == "000000010000000B00000000")
  }

  @Test(arguments: [UInt32(1 << 20), 16 << 20, 64 << 20, 1 << 30])
  func everySizeCountsItsOwnWay(size: UInt32) throws {
    let position = try #require(LSN("12/3456789A"))
    let name = WALSegmentName(timeline: 7, holding: position, size: size)
    #expect(name.start <= position && position < name.end)
    #expect(WALSegmentName(name.description, size: size) == name)
  }

  @Test(arguments: [
    "", "000000010000000A000000F", "000000010000000A000000FEE", "000000010000000a000000fe",
    "000000000000000A000000FE", "000000010000000A00000100", "000000010000000A000000FG",
    "000000010000000A000000FE.partial", "00000001FFFFFFFF000000FF",
  ])
  func otherNamesAreNone(text: String) {
    #expect(WALSegmentName(text, size: 16 << 20) == nil)
  }

  @Test func sizesArePowersOfTwo() {
    #expect(!WALSegmentName.isValidSize(0))
    #expect(!WALSegmentName.isValidSize(3 << 20))
    #expect(!WALSegmentName.isValidSize(1 << 19))
    #expect(WALSegmentName.isValidSize(1 << 30))
    #expect(!WALSegmentName.isValidSize(1 << 31))
  }

  @Test func filesOfTheFolderAreTold() throws {
    let segment = try #require(WALSegmentName("000000020000000000000003", size: 16 << 20))
    func name(_ text: String) -> WALFileName { WALFileName(text, segmentSize: 16 << 20) }
    #expect(name("000000020000000000000003") == .segment(segment))
    #expect(name("000000020000000000000003.partial") == .partial(segment))
    #expect(name("000000020000000000000003.00000028.backup") == .backupHistory(segment))
    #expect(name("00000002.history") == .history(timeline: 2))
    #expect(WALFileName.historyName(0x1F) == "0000001F.history")
    for text in ["xlogtemp.123", "archive_status", "00000000.history", "0000002.history", "", "."] {
      #expect(name(text) == .other)
    }
  }
}
