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

  /// In the order of the week; hours that nobody saw are missing.
  public var cells: [Cell]

  public init(cells: [Cell]) { self.cells = cells }
}
