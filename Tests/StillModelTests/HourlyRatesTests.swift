import StillModel
import Testing

/// When how much was written.
@Suite struct HourlyRatesTests {
  private static let mib: UInt64 = 1 << 20
  /// A Monday, 01:50 in UTC.
  private let monday = CalendarTime(iso8601: "2026-11-16T01:50:00Z") ?? .init(secondsSince1970: 0)

  private func series(
    _ began: CalendarTime, _ looks: [(seconds: Double, written: [UInt64?])]
  ) -> HourlyRates.Series {
    .init(began: began, looks: looks.map { .init(seconds: $0.seconds, written: $0.written) })
  }

  /// So many hours of looks a minute apart, with so many MiB in each minute of an hour.
  private func day(_ began: CalendarTime, _ hours: [UInt64]) -> HourlyRates.Series {
    var (sum, looks) = (0 as UInt64, [(seconds: 0.0, written: [0 as UInt64?])])
    for minute in 0..<hours.count * 60 {
      sum += hours[minute / 60] * HourlyRatesTests.mib
      looks.append((Double(minute + 1) * 60, [sum]))
    }
    return series(began, looks)
  }

  @Test("A stretch over an hour's end is shared out, and all volumes count")
  func shared() {
    // 30 minutes, a third of them before two o'clock; 60 MiB and 30 MiB.
    let run = series(monday, [(0, [0, 0]), (1800, [60 * Self.mib, 30 * Self.mib])])
    let rates = HourlyRates([run]) { _ in 0 }
    #expect(rates.cells.map(\.weekday) == [1, 1])
    #expect(rates.cells.map(\.hour) == [1, 2])
    #expect(rates.cells.map { $0.minutes.rounded() } == [10, 20])
    #expect(rates.cells.allSatisfy { abs(Int($0.bytesPerMinute) - Int(3 * Self.mib)) < 16 })
  }

  @Test("Hours are those of the wall clock, over midnight and the week's end")
  func zone() {
    let run = series(monday, [(0, [0]), (600, [Self.mib])])
    #expect(HourlyRates([run]) { _ in 3600 }.cells.map { [$0.weekday, $0.hour] } == [[1, 2]])
    #expect(HourlyRates([run]) { _ in -7200 }.cells.map { [$0.weekday, $0.hour] } == [[7, 23]])
    // A zone that is no whole hour from UTC.
    let india = HourlyRates([run]) { _ in 19800 }
    #expect(india.cells.map { [$0.weekday, $0.hour] } == [[1, 7]])
    // The clock is put back meanwhile.
    let change = monday.secondsSince1970 + 600
    let back = HourlyRates([series(monday, [(0, [0]), (600, [1]), (1200, [2])])]) {
      $0.secondsSince1970 < change ? 7200 : 3600
    }
    #expect(back.cells.map(\.hour) == [3])
    let early = CalendarTime(secondsSince1970: -3600)
    let before = HourlyRates([series(early, [(0, [0]), (600, [1])])]) { _ in 0 }
    #expect(before.cells.map { [$0.weekday, $0.hour] } == [[3, 23]])
  }

  @Test("A counter that is missing or goes back is left out")
  func counters() {
    let lost = series(
      monday,
      [(0, [0, nil]), (60, [8, nil]), (120, [4, nil]), (180, [nil, nil]), (240, [5, nil])])
    let rates = HourlyRates([lost]) { _ in 0 }
    #expect(rates.cells.map(\.bytesPerMinute) == [8])
    #expect(rates.cells.map(\.minutes) == [1])
    let torn = series(monday, [(0, [0, 9]), (60, [8, 1])])
    #expect(HourlyRates([torn]) { _ in 0 }.cells == [])
    let far = series(monday, [(0, [0]), (3601, [8]), (.infinity, [9]), (.nan, [10])])
    #expect(HourlyRates([far]) { _ in 0 }.cells == [])
    let never = CalendarTime(secondsSince1970: .max)
    #expect(HourlyRates([series(never, [(0, [0]), (60, [1])])]) { _ in 0 }.cells == [])
  }

  @Test("The quietest hour of the day is that of all its days, if it was seen for five minutes")
  func quietest() {
    let tuesday = CalendarTime(secondsSince1970: monday.secondsSince1970 + 86400 - 50 * 60)
    let midnight = CalendarTime(secondsSince1970: monday.secondsSince1970 - 110 * 60)
    let rates = HourlyRates([
      day(midnight, [20, 12, 5, 40]), day(tuesday, [14]),
      series(
        .init(secondsSince1970: midnight.secondsSince1970 + 20 * 3600), [(0, [0]), (200, [0])]),
    ]) { _ in 0 }
    #expect(
      rates.cells.map { [$0.weekday, $0.hour] } == [
        [1, 0], [1, 1], [1, 2], [1, 3], [1, 20], [2, 1],
      ])
    #expect(rates.quietest.map(\.hour) == [2, 1, 0, 3])
    #expect(rates.quietest.map { $0.minutes.rounded() } == [60, 120, 60, 60])
    #expect(rates.quietest[1].bytesPerMinute == 13 * Self.mib)
    #expect(
      rates.sentence
        == "quietest hours seen: 02:00 (5.0 MiB a minute), 01:00 (13.0 MiB a minute), "
        + "00:00 (20.0 MiB a minute); busiest 03:00 (40.0 MiB a minute)")
  }

  @Test("Of fewer than three hours none is called the quietest, and the way to more is named")
  func few() {
    #expect(HourlyRates(cells: []).sentence.contains("knows no hour of the day"))
    let two = HourlyRates([day(monday, [1, 2])]) { _ in 600 }
    #expect(two.quietest.count == 2)
    #expect(two.sentence.contains("only 2 hours of the day"))
    #expect(two.sentence.contains("pgstill probe --duration 24h --repo"))
    let one = HourlyRates([day(monday, [1])]) { _ in 600 }
    #expect(one.sentence.contains("only one hour of the day"))
  }
}
