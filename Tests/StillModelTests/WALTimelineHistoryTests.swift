import StillModel
import Testing

@Suite struct WALTimelineHistoryTests {
  private let text =
    "# a comment\n1\t0/3000060\tno recovery target specified\n\n"
    + "2\t0/5000000\tbefore 2000-01-01 00:00:00+00\n"

  @Test func ownersOfPositions() throws {
    let history = try WALTimelineHistory(timeline: 4, text: text)
    #expect(history.timeline(at: LSN(0)) == 1)
    #expect(history.timeline(at: LSN(0x300_005F)) == 1)
    #expect(history.timeline(at: LSN(0x300_0060)) == 2)
    #expect(history.timeline(at: LSN(0x500_0000)) == 4)
    #expect(history.range(of: 2)?.start == LSN(0x300_0060))
    #expect(history.range(of: 2)?.end == LSN(0x500_0000))
    #expect(history.range(of: 4)?.start == LSN(0x500_0000))
    #expect(history.range(of: 4)?.end == nil)
    #expect(history.range(of: 3) == nil)
  }

  @Test func aFirstTimelineHasNoAncestors() throws {
    let history = try WALTimelineHistory(timeline: 1, text: "")
    #expect(history.timeline(at: LSN(1 << 40)) == 1)
  }

  @Test(arguments: ["1", "x\t0/1", "1\tnowhere", "2\t0/1\n1\t0/2", "4\t0/1", "0\t0/1"])
  func damagedFilesAreRefused(text: String) {
    #expect(throws: StillError.self) { try WALTimelineHistory(timeline: 4, text: text) }
  }
}
