import Foundation
import StillModel
import Testing

@Suite struct CalendarTimeTests {
  /// From `date -u -d … +%s`.
  static let known: [(Int64, String)] = [
    (0, "1970-01-01T00:00:00Z"),
    (-1, "1969-12-31T23:59:59Z"),
    (951_782_400, "2000-02-29T00:00:00Z"),
    (1_709_164_799, "2024-02-28T23:59:59Z"),
    (1_709_251_199, "2024-02-29T23:59:59Z"),
    (1_795_226_400, "2026-11-21T02:00:00Z"),
    (4_107_542_400, "2100-03-01T00:00:00Z"),
    (4_107_456_000, "2100-02-28T00:00:00Z"),
    (-2_203_891_200, "1900-03-01T00:00:00Z"),
    (253_402_300_799, "9999-12-31T23:59:59Z"),
  ]

  @Test("Seconds and calendar agree with date(1)", arguments: known)
  func agrees(_ seconds: Int64, _ text: String) {
    #expect(CalendarTime(secondsSince1970: seconds).iso8601 == text)
    #expect(CalendarTime(iso8601: text)?.secondsSince1970 == seconds)
  }

  @Test("Each of its forms is the one that its reader wants")
  func forms() {
    let time = CalendarTime(secondsSince1970: 1_795_226_400)
    #expect(time.compact == "20261121T020000Z")
    #expect(time.manifestStyle == "2026-11-21 02:00:00 GMT")
  }

  @Test("It agrees with Foundation, every 37 days of 200 years")
  func foundation() {
    let formatter = ISO8601DateFormatter()
    for seconds in stride(from: Int64(-2_208_988_800), to: 4_102_444_800, by: 37 * 86400 + 12345) {
      let time = CalendarTime(secondsSince1970: seconds)
      #expect(time.iso8601 == formatter.string(from: Date(timeIntervalSince1970: Double(seconds))))
      #expect(CalendarTime(iso8601: time.iso8601) == time)
    }
  }

  @Test(
    "What is no time in UTC is none",
    arguments: [
      "", "2026-11-21", "2026-11-21 02:00:00Z", "2026-11-21T02:00:00", "2026-11-21T02:00:00+",
      "2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z", "2026-11-21T24:00:00Z",
      "2026-11-21T02:60:00Z", "2026-11-21T02:00:60Z", "2026-00-10T00:00:00Z",
      "+026-11-21T02:00:00Z", "2026-1\u{661}-1T02:00:00Z",
    ])
  func noTime(_ text: String) {
    #expect(CalendarTime(iso8601: text) == nil)
  }

  @Test("In JSON it is its text, and another text is refused")
  func json() throws {
    let time = CalendarTime(secondsSince1970: 0)
    let data = try JSONEncoder().encode([time])
    #expect(String(decoding: data, as: UTF8.self) == "[\"1970-01-01T00:00:00Z\"]")
    #expect(try JSONDecoder().decode([CalendarTime].self, from: data) == [time])
    #expect(throws: DecodingError.self) {
      try JSONDecoder().decode([CalendarTime].self, from: Data("[\"yesterday\"]".utf8))
    }
  }
}
