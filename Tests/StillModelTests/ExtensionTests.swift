import StillModel
import Testing

@Suite struct ExtensionTests {
  private let mebibyte: UInt64 = 1 << 20

  private func trend(
    used: UInt64, of size: UInt64, rate: Double, metadata: Double? = nil,
    state: SnapshotFill.State = .valid
  ) -> FillTrend {
    FillTrend(
      fill: SnapshotFill(
        origin: VolumeName(group: "vg0", volume: "data"),
        snapshot: VolumeName(group: "vg0", volume: "snap"), state: state, used: used * mebibyte,
        size: size * mebibyte, metadata: metadata), rate: rate * Double(mebibyte))
  }

  private func origin(_ size: UInt64 = 10 << 10, free: UInt64) -> VolumeFacts {
    VolumeFacts(
      name: VolumeName(group: "vg0", volume: "data"), size: size * mebibyte,
      groupFree: free * mebibyte, extentSize: 4 * mebibyte, obstacle: nil)
  }

  @Test("It grows past the threshold, or when it would be full in a moment")
  func due() {
    let policy = ExtensionPolicy(threshold: 0.7)
    #expect(!policy.isDue(trend(used: 69, of: 100, rate: 0.1)))
    #expect(policy.isDue(trend(used: 70, of: 100, rate: 0)))
    #expect(policy.isDue(trend(used: 10, of: 100, rate: 10)))
    #expect(!policy.isDue(trend(used: 90, of: 100, rate: 1, state: .invalid)))
    #expect(!policy.isDue(trend(used: 90, of: 100, rate: 1, metadata: 0.1)), "a pool is no store")
  }

  @Test("It grows by what the rate asks for until the end of the copy, and a quarter")
  func step() {
    let policy = ExtensionPolicy()
    let fast = trend(used: 80, of: 100, rate: 2)
    let room = origin(free: 4000)
    // 80 + 2 × 400 × 1.25
    #expect(
      policy.verdict(on: fast, origin: room, secondsLeft: 400) == .grow(to: 1080 * mebibyte))
    // 80 + 2 × 120 where nobody knows.
    #expect(policy.verdict(on: fast, origin: room, secondsLeft: nil) == .grow(to: 320 * mebibyte))
    // At least by a fifth.
    let slow = trend(used: 80, of: 100, rate: 0.01)
    #expect(policy.verdict(on: slow, origin: room, secondsLeft: 1) == .grow(to: 120 * mebibyte))
  }

  @Test("It takes no more than there is above what is kept free, and than could ever be needed")
  func limits() {
    let fast = trend(used: 80, of: 100, rate: 50)
    let policy = ExtensionPolicy(keptFree: 100 * mebibyte)
    #expect(
      policy.verdict(on: fast, origin: origin(free: 163), secondsLeft: 60)
        == .grow(to: 160 * mebibyte))
    #expect(policy.verdict(on: fast, origin: origin(free: 103), secondsLeft: 60) == .noRoom)
    #expect(policy.verdict(on: fast, origin: origin(free: 50), secondsLeft: 60) == .noRoom)
    let most = SizingBasis.most(for: origin(200, free: 4000))
    #expect(
      policy.verdict(on: fast, origin: origin(200, free: 4000), secondsLeft: 60)
        == .grow(to: most))
    let whole = trend(used: 200, of: most / mebibyte, rate: 50)
    #expect(
      policy.verdict(on: whole, origin: origin(200, free: 4000), secondsLeft: 60) == .enough)
  }

  @Test("A rate is that of the last ten seconds")
  func rate() {
    var series = FillSeries()
    func look(_ used: UInt64, at seconds: Double) {
      series.add([trend(used: used, of: 100, rate: 0).fill], at: seconds)
    }
    #expect(series.rate(of: 0) == 0)
    look(1, at: 0)
    #expect(series.rate(of: 0) == 0)
    look(3, at: 1)
    #expect(series.rate(of: 0) == 2 * Double(mebibyte))
    look(3, at: 11)
    #expect(series.rate(of: 0) == 0, "what was before does not count")
    look(8, at: 21)
    #expect(series.rate(of: 0) == 0.5 * Double(mebibyte))
    #expect(series.rate(of: 1) == 0)
  }

  @Test("It is said in one sentence")
  func sentence() {
    #expect(trend(used: 72, of: 100, rate: 0).sentence == "72.0 % full")
    #expect(
      trend(used: 72, of: 100, rate: 2).sentence
        == "72.0 % full, filling at 2.0 MiB/s, full in 14.0 s")
  }
}
