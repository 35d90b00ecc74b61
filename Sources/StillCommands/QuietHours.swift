import StillModel

/// At which hours a snapshot would need least.
struct QuietHours: Encodable {
  var sentence: String
  /// The hours of the day that were seen for long enough, the quietest first.
  var hours: [HourlyRates.Hour]
  var week: HourlyRates

  init(_ rates: HourlyRates?) {
    week = rates ?? HourlyRates(cells: [])
    sentence = week.sentence
    hours = week.quietest
  }
}
