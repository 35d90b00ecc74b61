import Glibc
import StillModel

/// The two clocks of the machine.
public enum Clock {
  /// Nanoseconds of the monotonic clock: for durations.
  public static func monotonic() -> Int64 {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec)
  }

  /// The time of day, UTC.
  public static func now() -> CalendarTime {
    CalendarTime(secondsSince1970: Int64(time(nil)))
  }

  /// Nanoseconds since 1970: for comparing with what the file system says.
  public static func wall() -> Int64 {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    return Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec)
  }

  /// What the time of day is ahead of the time since the start of the machine, in nanoseconds: it changes
  /// only where somebody sets the clock.
  public static func offset() -> Int64 {
    var sinceStart = timespec()
    clock_gettime(CLOCK_BOOTTIME, &sinceStart)
    return wall() - (Int64(sinceStart.tv_sec) * 1_000_000_000 + Int64(sinceStart.tv_nsec))
  }

  /// What the clock on this host's wall was ahead of UTC at a moment, in seconds.
  public static func zoneOffset(at moment: CalendarTime) -> Int {
    var (seconds, parts) = (time_t(moment.secondsSince1970), tm())
    // POSIX leaves open whether the one below looks at TZ by itself.
    tzset()
    return localtime_r(&seconds, &parts) == nil ? 0 : parts.tm_gmtoff
  }

  /// Lets this thread rest.
  public static func sleep(milliseconds: UInt32) {
    usleep(milliseconds * 1000)
  }
}

/// Measures seconds from where it was made.
public struct Stopwatch: Sendable {
  private let begin = Clock.monotonic()

  public init() {}

  public var seconds: Double { Double(Clock.monotonic() - begin) / 1e9 }
}
