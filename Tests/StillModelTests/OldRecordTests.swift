import Foundation
import StillModel
import Testing

/// Looks as they stand in backups from before anybody counted what was written.
@Suite struct OldRecordTests {
  private static let stored = """
    [ { "seconds" : 1.034, "used" : [ 53248, 1077248 ] }, { "seconds" : 2.051, "used" : [ 53248, 1110016 ] } ]
    """
  private static let counted = """
    [ { "seconds" : 1, "used" : [ 1, 2 ], "written" : [ 4096, null ] } ]
    """

  private func looks(_ text: String) throws -> [BackupRecord.FillSample] {
    try JSONDecoder().decode([BackupRecord.FillSample].self, from: Data(text.utf8))
  }

  @Test("They are read, and do not come back with what nobody saw")
  func old() throws {
    let looks = try looks(OldRecordTests.stored)
    #expect(looks.map(\.used) == [[53248, 1_077_248], [53248, 1_110_016]])
    #expect(looks.allSatisfy { $0.written == nil })
    #expect(try !String(decoding: JSONEncoder().encode(looks), as: UTF8.self).contains("written"))
  }

  @Test("A backup's first look may come late, and what was written before it counts")
  func late() throws {
    let overflow = HistoryRecord.Overflow(
      began: CalendarTime(secondsSince1970: 0), message: "", origins: [], sizes: [],
      overflowed: [], samples: try looks(OldRecordTests.counted), extensions: [])
    let id = RunID(at: CalendarTime(secondsSince1970: 0))
    let series = try #require(
      HourlyRates.Series(
        HistoryRecord(overflow: overflow, of: id, cluster: "main", systemIdentifier: 1)))
    #expect(series.looks.map(\.seconds) == [0, 1])
    #expect(series.looks.first?.written == [0, nil])
    #expect(HourlyRates([series]) { _ in 0 }.cells.map(\.bytesPerMinute) == [4096 * 60])
  }

  @Test("What was counted, and what was not, is both read")
  func new() throws {
    let looks = try looks(OldRecordTests.counted)
    #expect(looks.first?.written == [4096, nil])
    let again = try JSONEncoder().encode(looks)
    #expect(try JSONDecoder().decode([BackupRecord.FillSample].self, from: again) == looks)
  }
}
