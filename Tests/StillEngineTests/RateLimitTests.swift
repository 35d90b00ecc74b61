import StillModel
import StillSystem
import Testing

@testable import StillEngine

@Suite struct RateLimitTests {
  @Test("Time in which nothing was read is not made up for later")
  func noCredit() {
    let limit = RateLimit(bytesPerSecond: 1_000_000, Cancellation())
    Clock.sleep(milliseconds: 2500)
    let watch = Stopwatch()
    for _ in 0..<25 { limit.take(100_000) }
    // 2.5 s worth of bytes, less the second that may be saved up.
    #expect(watch.seconds > 1.4)
  }

  @Test("Who reads all the time reads at the rate")
  func steady() {
    let limit = RateLimit(bytesPerSecond: 1_000_000, Cancellation())
    let watch = Stopwatch()
    for _ in 0..<10 { limit.take(100_000) }
    #expect(watch.seconds > 0.95)
  }
}
