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
  public var iso8601: String { text(separator: "T", ending: "Z") }

  /// `2026-11-21 02:00:00 GMT`, as PostgreSQL's backup manifest writes times.
  public var manifestStyle: String { text(separator: " ", ending: " GMT") }

  /// Reads `2026-11-21T02:00:00Z`; nil for anything else.
  public init?(iso8601 text: String) { self.init(text.utf8, separator: "T", ending: "Z") }

  /// Reads `2026-11-21 02:00:00 GMT`; nil for anything else.
  public init?(manifestStyle text: some Sequence<UInt8>) {
    self.init(text, separator: " ", ending: " GMT")
  }

  /// A manifest may have a million of them, so they are written and read byte by byte.
  private func text(separator: Unicode.Scalar, ending: StaticString) -> String {
    let p = parts
    return String(unsafeUninitializedCapacity: 40) { buffer in
      var count = 0
      func put(_ byte: UInt8) {
        buffer[count] = byte
        count += 1
      }
      func put(_ number: Int, _ width: Int) {
        var unit = 1
        for _ in 1..<width { unit *= 10 }
        while number / unit >= 10 { unit *= 10 }
        while unit > 0 {
          put(UInt8(ascii: "0") + UInt8(number / unit % 10))
          unit /= 10
        }
      }
      put(p.year, 4)
      for number in [p.month, p.day] {
        put(UInt8(ascii: "-"))
        put(number, 2)
      }
      put(UInt8(ascii: separator))
      put(p.hour, 2)
      for number in [p.minute, p.second] {
        put(UInt8(ascii: ":"))
        put(number, 2)
      }
      ending.withUTF8Buffer { $0.forEach(put) }
      return count
    }
  }

  private init?(_ text: some Sequence<UInt8>, separator: Unicode.Scalar, ending: StaticString) {
    var rest = text.makeIterator()
    func number(_ digits: Int) -> Int? {
      var number = 0
      for _ in 0..<digits {
        guard let byte = rest.next(), (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else {
          return nil
        }
        number = number * 10 + Int(byte - UInt8(ascii: "0"))
      }
      return number
    }
    func take(_ byte: Unicode.Scalar) -> Bool { rest.next() == UInt8(ascii: byte) }
    guard let year = number(4), take("-"), let month = number(2), take("-"),
      let day = number(2), take(separator), let hour = number(2), take(":"),
      let minute = number(2), take(":"), let second = number(2)
    else { return nil }
    guard ending.withUTF8Buffer({ $0.allSatisfy { rest.next() == $0 } }), rest.next() == nil else {
      return nil
    }
    self.init(year: year, month: month, day: day, hour: hour, minute: minute, second: second)
    // The thirtieth of February would be another day.
    let p = parts
    guard p.year == year, p.month == month, p.day == day, p.hour == hour, p.minute == minute,
      p.second == second
    else { return nil }
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
