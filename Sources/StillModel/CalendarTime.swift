/// A moment in UTC, to the second, as it stands in names, manifests and reports.
public struct CalendarTime: Hashable, Sendable, Comparable {
  /// Seconds since 1970-01-01 00:00:00 UTC.
  public var secondsSince1970: Int64

  public init(secondsSince1970: Int64) { self.secondsSince1970 = secondsSince1970 }

  /// `20261121T020000Z`
  public var compact: String {
    let p = parts
    return
      "\(pad(p.year, 4))\(pad(p.month))\(pad(p.day))T\(pad(p.hour))\(pad(p.minute))\(pad(p.second))Z"
  }

  /// `2026-11-21T02:00:00Z`, ISO 8601.
  public var iso8601: String {
    let p = parts
    return "\(pad(p.year, 4))-\(pad(p.month))-\(pad(p.day))T"
      + "\(pad(p.hour)):\(pad(p.minute)):\(pad(p.second))Z"
  }

  /// `2026-11-21 02:00:00 GMT`, as PostgreSQL's backup manifest writes times.
  public var manifestStyle: String {
    let p = parts
    return "\(pad(p.year, 4))-\(pad(p.month))-\(pad(p.day)) "
      + "\(pad(p.hour)):\(pad(p.minute)):\(pad(p.second)) GMT"
  }

  /// Reads `2026-11-21T02:00:00Z`; nil for anything else.
  public init?(iso8601 text: String) {
    let bytes = Array(text.utf8)
    guard bytes.count == 20 else { return nil }
    func number(_ range: Range<Int>) -> Int? { Int(String(decoding: bytes[range], as: UTF8.self)) }
    guard let year = number(0..<4), let month = number(5..<7), let day = number(8..<10),
      let hour = number(11..<13), let minute = number(14..<16), let second = number(17..<19)
    else { return nil }
    self.init(year: year, month: month, day: day, hour: hour, minute: minute, second: second)
    guard iso8601 == text else { return nil }
  }

  /// A date of the Gregorian calendar and a time of day.
  init(year: Int, month: Int, day: Int, hour: Int, minute: Int, second: Int) {
    let days = CalendarTime.days(year: year, month: month, day: day)
    secondsSince1970 = Int64(days * 86400 + hour * 3600 + minute * 60 + second)
  }

  public static func < (left: CalendarTime, right: CalendarTime) -> Bool {
    left.secondsSince1970 < right.secondsSince1970
  }

  private struct Parts {
    var year: Int, month: Int, day: Int, hour: Int, minute: Int, second: Int
  }

  /// Days since 1970 to a date of the Gregorian calendar, counting years from March so that the
  /// leap day is the last of its year.
  private var parts: Parts {
    let seconds = Int(secondsSince1970)
    let days = seconds >= 0 ? seconds / 86400 : -((86399 - seconds) / 86400)
    let rest = seconds - days * 86400
    let shifted = days + 719_468  // days since 0000-03-01
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let monthFromMarch = (5 * dayOfYear + 2) / 153
    let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
    return Parts(
      year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month: month,
      day: dayOfYear - (153 * monthFromMarch + 2) / 5 + 1, hour: rest / 3600,
      minute: rest / 60 % 60, second: rest % 60)
  }

  private static func days(year: Int, month: Int, day: Int) -> Int {
    let shiftedYear = month <= 2 ? year - 1 : year
    let era = (shiftedYear >= 0 ? shiftedYear : shiftedYear - 399) / 400
    let yearOfEra = shiftedYear - era * 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
  }

  private func pad(_ number: Int, _ width: Int = 2) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }
}

extension CalendarTime: TextCodable {
  public static var nameOfText: String { "a time in UTC" }
  public init?(codedText: String) { self.init(iso8601: codedText) }
  public var codedText: String { iso8601 }
}
