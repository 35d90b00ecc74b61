import Foundation
import StillModel
import Testing

@Suite struct RunIDTests {
  private let moment = CalendarTime(secondsSince1970: 1_795_226_400)

  @Test("A run's name is its time in UTC and six hexadecimal digits")
  func form() {
    #expect(RunID(at: moment, salt: 0x1A2B3C).description == "20261121T020000Z-1a2b3c")
    #expect(RunID(at: moment, salt: 0xF).description == "20261121T020000Z-00000f")
    #expect(RunID(at: moment, salt: 0xFF00_0001).description == "20261121T020000Z-000001")
  }

  @Test("Two runs of one second have different names")
  func salt() {
    #expect(Set((0..<20).map { _ in RunID(at: moment) }).count == 20)
  }

  @Test("A name that is read is the name that was written")
  func read() {
    let id = RunID(at: moment)
    #expect(RunID(id.description) == id)
    #expect(RunID(Substring(id.description)) == id)
  }

  @Test(
    "What is no run's name is none",
    arguments: [
      "", "latest", "20261121T020000Z", "20261121T020000Z-1A2B3C", "20261121T020000Z-1a2b3g",
      "20261121T020000Z-1a2b3c4", "20261121T020000Z-1a2b3", "20261121 020000Z-1a2b3c",
      "2026112aT020000Z-1a2b3c", "20261121T020000Z_1a2b3c", "../../../../../../../../etc",
      "20261121T020000Z-1a2b\u{E9}",
    ])
  func noName(_ text: String) {
    #expect(RunID(text) == nil)
  }

  @Test("Names sort by age")
  func order() {
    let later = CalendarTime(secondsSince1970: moment.secondsSince1970 + 1)
    #expect(RunID(at: moment, salt: 0xFFFFFF) < RunID(at: later, salt: 0))
  }

  @Test("In JSON it is its name, and another text is refused")
  func json() throws {
    let id = RunID(at: moment, salt: 7)
    let data = try JSONEncoder().encode([id])
    #expect(String(decoding: data, as: UTF8.self) == "[\"20261121T020000Z-000007\"]")
    #expect(try JSONDecoder().decode([RunID].self, from: data) == [id])
    #expect(throws: DecodingError.self) {
      try JSONDecoder().decode([RunID].self, from: Data("[\"latest\"]".utf8))
    }
  }
}
