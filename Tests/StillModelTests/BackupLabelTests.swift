import StillModel
import Testing

@Suite struct BackupLabelTests {
  private let text = """
    START WAL LOCATION: 1A/4A00E58 (file 000000030000001A00000004)
    CHECKPOINT LOCATION: 1A/4BF3AF8
    BACKUP METHOD: streamed
    BACKUP FROM: standby
    START TIME: 2026-11-21 14:55:09 UTC
    LABEL: START TIMELINE: 9
    START TIMELINE: 3

    """

  @Test func aLabelIsRead() throws {
    let label = try BackupLabel(Array(text.utf8))
    #expect(label.start == LSN("1A/4A00E58"))
    #expect(label.checkpoint == LSN("1A/4BF3AF8"))
    #expect(label.timeline == 3)
    #expect(label.isFromStandby)
    let own = text.replacing("standby", with: "primary")
    #expect(try !BackupLabel(Array(own.utf8)).isFromStandby)
  }

  @Test(
    "A label without one of its lines is none",
    arguments: ["START WAL", "CHECKPOINT", "BACKUP FROM", "START TIMELINE"])
  func incomplete(_ line: String) {
    let lines = text.split(separator: "\n").filter { !$0.hasPrefix(line) }
    #expect(throws: StillError.self) {
      try BackupLabel(Array(lines.joined(separator: "\n").utf8))
    }
  }
}

@Suite struct RelationSegmentTests {
  @Test(arguments: [("16384", 0), ("16384.1", 1), ("16384_fsm.27", 27), ("16384_init", 0)])
  func theNumberOfTheFileIsKept(_ name: String, _ segment: UInt32) {
    #expect(RelationFileName(Array(name.utf8))?.segment == segment)
  }

  @Test func badPagesAreSaidInOneLine() {
    let few = BadPages(file: "base/5/16384.1", blocks: [131072, 131080])
    #expect(few.text == "base/5/16384.1: 2 bad pages, blocks 131072, 131080")
    #expect(BadPages(file: "f", blocks: [7]).text == "f: 1 bad page, block 7")
    let many = BadPages(file: "f", blocks: Array(0..<5000))
    #expect(many.count == 5000)
    #expect(many.blocks.count == BadPages.listed)
    #expect(many.text.hasSuffix("8, 9 and 4990 more"))
  }
}
