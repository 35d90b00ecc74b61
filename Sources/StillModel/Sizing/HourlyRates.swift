/// How much was written in each hour of the week, as far as anybody looked.
public struct HourlyRates: Hashable, Sendable, Codable {
  public struct Cell: Hashable, Sendable, Codable {
    /// 1 is Monday, 7 Sunday.
    public var weekday: Int
    /// 0…23, as the clock on the wall showed.
    public var hour: Int
    /// What was written to all volumes of the cluster.
    public var bytesPerMinute: UInt64
    /// For how long somebody looked in that hour of the week, over all weeks.
    public var minutes: Double

    public init(weekday: Int, hour: Int, bytesPerMinute: UInt64, minutes: Double) {
      self.weekday = weekday
      self.hour = hour
      self.bytesPerMinute = bytesPerMinute
      self.minutes = minutes
    }
  }

  /// An hour of the day, on whichever day.
  public struct Hour: Hashable, Sendable, Codable {
    public var hour: Int
    public var bytesPerMinute: UInt64
    public var minutes: Double

    /// `03:00 (12.0 MiB a minute)`
    public var text: String {
      "\(hour < 10 ? "0" : "")\(hour):00 (\(ByteCount.text(bytesPerMinute)) a minute)"
    }
  }

  /// In the order of the week; hours that nobody saw are missing.
  public var cells: [Cell]

  public init(cells: [Cell]) { self.cells = cells }
}

extension HourlyRates {
  /// The looks of one run.
  public struct Series: Hashable, Sendable {
    /// When the first of its looks was, whose seconds are 0.
    public var began: CalendarTime
    public var looks: [Look]

    public init(began: CalendarTime, looks: [Look]) {
      self.began = began
      self.looks = looks
    }
  }

  public struct Look: Hashable, Sendable {
    public var seconds: Double
    /// Bytes written since then to each volume; nil where nobody counted.
    public var written: [UInt64?]

    public init(seconds: Double, written: [UInt64?]) {
      self.seconds = seconds
      self.written = written
    }
  }

  private static let secondsPerHour: Int64 = 3600
  /// Looks that are further apart than this, in seconds, do not say when anything was written.
  private static let longestGap = 3600.0

  /// - Parameter zone: what the clock on the wall is ahead of UTC at a moment, in seconds.
  public init(_ series: [Series], zone: (CalendarTime) -> Int) {
    var sums: [Int: (bytes: Double, seconds: Double)] = [:]
    for run in series where abs(run.began.secondsSince1970) < 1 << 40 {
      for (look, next) in zip(run.looks, run.looks.dropFirst()) {
        let length = next.seconds - look.seconds
        guard length > 0, length <= HourlyRates.longestGap, abs(look.seconds) < 1e12,
          let bytes = HourlyRates.written(from: look, to: next)
        else { continue }
        let begin = Double(run.began.secondsSince1970) + look.seconds
        HourlyRates.share(begin, length, zone) { hour, seconds in
          let sum = sums[hour] ?? (0, 0)
          sums[hour] = (sum.bytes + bytes * seconds / length, sum.seconds + seconds)
        }
      }
    }
    cells = sums.sorted { $0.key < $1.key }.map { hour, sum in
      Cell(
        weekday: hour / 24 + 1, hour: hour % 24,
        bytesPerMinute: UInt64(min(sum.bytes / sum.seconds * 60, 1e18)), minutes: sum.seconds / 60)
    }
  }

  /// In bytes; nil where nobody counted, or a counter went back.
  private static func written(from look: Look, to next: Look) -> Double? {
    var sum: Double?
    for case (let before?, let after?) in zip(look.written, next.written) {
      guard after >= before else { return nil }
      sum = (sum ?? 0) + Double(after - before)
    }
    return sum
  }

  /// Gives each hour of the week its part of a stretch of time.
  private static func share(
    _ begin: Double, _ length: Double, _ zone: (CalendarTime) -> Int,
    _ give: (_ hour: Int, _ seconds: Double) -> Void
  ) {
    var moment = begin
    while moment < begin + length {
      let second = Int64(moment.rounded(.down))
      let offset = Int64(zone(CalendarTime(secondsSince1970: second)))
      let local = second + offset
      let hours =
        (local - (local % secondsPerHour + secondsPerHour) % secondsPerHour) / secondsPerHour
      let end = min(Double((hours + 1) * secondsPerHour - offset), begin + length)
      // 1970 began on a Thursday.
      let hour = Int(((hours + 3 * 24) % (7 * 24) + 7 * 24) % (7 * 24))
      give(hour, end - moment)
      moment = end
    }
  }
}

extension HourlyRates {
  /// An hour that was seen for less says little, in minutes.
  public static let fewestMinutes = 5.0
  /// Of fewer hours of the day, none is called the quietest.
  public static let fewestHours = 3

  /// The hours of the day that were seen for long enough, the quietest first.
  public var quietest: [Hour] {
    Dictionary(grouping: cells, by: \.hour).map { hour, cells in
      let minutes = cells.reduce(0) { $0 + $1.minutes }
      let bytes = cells.reduce(0) { $0 + Double($1.bytesPerMinute) * $1.minutes }
      return Hour(
        hour: hour, bytesPerMinute: minutes > 0 ? UInt64(min(bytes / minutes, 1e18)) : 0,
        minutes: minutes)
    }.filter { $0.minutes >= HourlyRates.fewestMinutes }.sorted {
      ($0.bytesPerMinute, $0.hour) < ($1.bytesPerMinute, $1.hour)
    }
  }

  /// When it would be least; how to find that out where too little was seen.
  public var sentence: String {
    let hours = quietest
    guard hours.count >= HourlyRates.fewestHours, let busiest = hours.last else {
      let known =
        switch hours.count {
        case 0: "no hour of the day"
        case 1: "only one hour of the day"
        default: "only \(hours.count) hours of the day"
        }
      return "the history knows \(known): which are the quietest, "
        + "pgstill probe --duration 24h --repo DIR finds out"
    }
    let shown = hours.prefix(min(3, hours.count - 1)).map(\.text).joined(separator: ", ")
    return "quietest hours seen: \(shown); busiest \(busiest.text)"
  }
}
