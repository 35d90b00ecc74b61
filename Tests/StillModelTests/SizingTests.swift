import Testing

@testable import StillModel

/// The parts of the arithmetic of a probe.
@Suite struct SizingTests {
  private let mebibyte = Double(1 << 20)

  private func model(_ levels: [Double]) -> GrowthModel {
    GrowthModel(
      levels.enumerated().map {
        .init(seconds: Double($0.offset + 1) * 30, bytes: $0.element * mebibyte)
      })
  }

  @Test("What grows evenly goes on evenly")
  func even() {
    let grown = model([100, 200, 300, 400])
    #expect((1600...2050).contains(grown.expected(at: 600) / mebibyte))
    #expect((1900...2050).contains(grown.quantile(0.95, at: 600) / mebibyte))
    #expect((195...205).contains(grown.expected(at: 60) / mebibyte), "between the looks, too")
  }

  @Test("A hot set stays as large as it is")
  func hotSet() {
    let grown = model([100, 100, 100, 100])
    #expect((99...106).contains(grown.expected(at: 600) / mebibyte))
    #expect(grown.quantile(0.95, at: 600) / mebibyte < 130)
  }

  @Test("What comes with a hot set goes on: 100, and 2 in each half minute")
  func tail() {
    let grown = model([102, 104, 106, 108])
    #expect((125...150).contains(grown.expected(at: 600) / mebibyte))
    #expect(grown.quantile(0.95, at: 600) / mebibyte > 139)
  }

  @Test("A load that becomes faster goes on as fast as it is")
  func faster() {
    #expect(model([10, 20, 30, 130]).quantile(0.95, at: 600) / mebibyte >= 130 + 16 * 100)
  }

  @Test("Nothing comes of nothing")
  func nothing() {
    #expect(model([]).expected(at: 600) == 0)
    #expect(model([0, 0, 0, 0]).quantile(0.95, at: 600) == 0)
  }

  private func pace(most: UInt64 = 1 << 30, segments: UInt64 = 1 << 30) -> ServerPace {
    ServerPace(
      checkpointSeconds: 300, completionTarget: 0.9, mostWAL: most, keptWAL: 0,
      segmentSize: 16 << 20, segments: segments, spare: segments)
  }

  @Test("The pages that follow a checkpoint whole are counted once for each, and not all the while")
  func wholePages() {
    // 60 MiB at once after each checkpoint, then 1 MiB a second.
    var looks: [WALGrowth.Mark] = []
    for second in 0...120 {
      let stretches = (second + 29) / 30
      let bytes = Double(stretches * 60 + second) * mebibyte
      looks.append(.init(seconds: Double(second), bytes: bytes))
    }
    let wal = WALGrowth(looks, checkpoints: [30, 60, 90, 120], pace())
    #expect(wal.cycle == 300)
    #expect(abs(wal.expected(at: 600) / mebibyte / 720 - 1) < 0.03)
    #expect(wal.quantile(0.95, at: 600) / mebibyte >= 720)
    // Where the WAL itself forces checkpoints, there are more of them: 50.5 MiB are soon there.
    let hurried = WALGrowth(looks, checkpoints: [30, 60, 90, 120], pace(most: 96 << 20))
    #expect(hurried.cycle < 20)
    #expect(hurried.expected(at: 600) / mebibyte > 1500)
  }

  private func samples(wal: UInt64) -> [ProbeSample] {
    (0...12).map { look in
      let bytes = UInt64(look) * wal / 12
      return ProbeSample(
        seconds: Double(look) * 10, wal: bytes, used: [bytes], written: [nil],
        flushedFrom: look > 0 && look % 3 == 0 ? Double(look) * 10 : nil)
    }
  }

  private func projection(
    wal: UInt64, _ pace: ServerPace, carriesWAL: Bool = true, seconds: Double = 600,
    safety: Double = 2
  ) -> SizeProjection {
    SizeProjection(
      samples(wal: wal), volume: 0, carriesWAL: carriesWAL, pace, seconds: seconds,
      safety: safety)
  }

  @Test("WAL costs no more than all its segments")
  func segments() {
    let most = projection(wal: 300 << 20, pace(most: 96 << 20, segments: 320 << 20))
    #expect(most.expected == (320 + 32) << 20)
    // 60 MiB, if it goes on as evenly as in the two minutes; it may as well slow down.
    let free = projection(wal: 12 << 20, pace())
    #expect((40.0...60).contains(Double(free.expected) / mebibyte))
    #expect((60.0...72).contains(Double(free.likely) / mebibyte))
    // New segments are filled with zeros.
    var few = pace()
    few.spare = 8 << 20
    #expect(projection(wal: 12 << 20, few).likely == 96 << 20)
  }

  @Test("What was not seen is taken as often as the safety says")
  func safety() {
    func need(_ safety: Double, seconds: Double = 600) -> SizeProjection {
      projection(wal: 12 << 20, pace(), seconds: seconds, safety: safety)
    }
    let once = need(1)
    #expect(once.seen == 12 << 20 && once.recommended == once.likely)
    let unseen = Double(once.expected - once.seen)
    for safety in [2, 3.0] {
      let size = Double(once.expected) + (safety - 1) * unseen
      #expect(abs(Double(need(safety).recommended) - size) < 2, "\(safety)")
    }
    // All of it was seen: a quarter more for each time.
    let short = need(3, seconds: 60)
    #expect(abs(Double(short.recommended) - Double(short.expected) * 1.5) < 2)
    let most = projection(wal: 300 << 20, pace(most: 96 << 20, segments: 320 << 20), safety: 9)
    #expect(most.recommended == most.expected)
  }

  @Test("A probe that ended before its first checkpoint says so")
  func rough() {
    let looks = Array(samples(wal: 12 << 20).prefix(3))
    let rough = SizeProjection(looks, volume: 0, carriesWAL: false, pace(), seconds: 60, safety: 2)
    #expect(rough.isRough)
    #expect(rough.likely > rough.seen)
    #expect(!projection(wal: 1, pace()).isRough)
    let none = SizeProjection([], volume: 0, carriesWAL: true, pace(), seconds: 60, safety: 2)
    #expect(none.expected == 0)
  }

  @Test("What a snapshot holds from the first moment on does not grow")
  func base() {
    var looks = samples(wal: 0)
    for index in looks.indices { looks[index].used = [2 << 20] }
    let still = SizeProjection(
      looks, volume: 0, carriesWAL: false, pace(), seconds: 6000, safety: 2)
    #expect(still.expected == 2 << 20)
    #expect(still.recommended == 2 << 20)
  }

  @Test("The most that a stretch as long as the copy took is not undercut")
  func burst() {
    var looks = samples(wal: 1 << 20)
    for index in looks.indices where index >= 8 { looks[index].used = [500 << 20] }
    let after = SizeProjection(looks, volume: 0, carriesWAL: false, pace(), seconds: 30, safety: 2)
    #expect(after.likely >= 499 << 20)
    // And what the probe saw itself, where the copy takes longer than that.
    let last = SizeProjection(
      Array(looks.dropLast(4)), volume: 0, carriesWAL: false, pace(), seconds: 200, safety: 1)
    #expect(last.likely >= 500 << 20)
  }

  @Test("A larger chunk is written where any of its parts was")
  func chunks() {
    let chunks = OverwrittenChunks(chunkSize: 4096, numbers: [0, 1, 3, 8, 9, 10, 11, 12, 31, 32])
    #expect(chunks.count(inChunksOf: 4096) == 10)
    #expect(chunks.count(inChunksOf: 8192) == 7)
    #expect(chunks.count(inChunksOf: 16384) == 5)
    #expect(chunks.count(inChunksOf: 65536) == 3)
    #expect(chunks.count(inChunksOf: 2048) == nil)
    #expect(chunks.count(inChunksOf: 6144) == nil)
    let large = OverwrittenChunks(chunkSize: 32768, numbers: [0, 2])
    #expect(large.costs().map(\.chunkSize) == [32, 64, 128, 256, 512].map { $0 << 10 })
    // The header, the table, the chunks.
    #expect(large.costs().first?.bytes == 4 * 32768)
    #expect(ChunkCost(chunkSize: 4096, chunks: 1000).bytes == (1 + 1000 + 3 + 1) * 4096)
  }

  @Test("Figures of other chunks are those of a list that was kept in such chunks")
  func replayed() {
    var random = SeededGenerator(seed: 5)
    let writes = (0..<5000).map { _ in UInt64.random(in: 0..<40_000, using: &random) }
    let fine = OverwrittenChunks(chunkSize: 4096, numbers: writes)
    for factor in [2, 8, 64] as [UInt64] {
      let coarse = OverwrittenChunks(chunkSize: 4096 * factor, numbers: writes.map { $0 / factor })
      #expect(fine.count(inChunksOf: 4096 * factor) == coarse.count)
    }
  }

  @Test("Rates are those of whole minutes, wherever they begin")
  func rates() {
    // A burst of 60 in the third minute of five, 6 a minute else.
    var looks: [(seconds: Double, bytes: UInt64)] = []
    for second in 0...300 {
      let burst = second >= 150 ? 54 : 0
      looks.append((Double(second), UInt64(second / 10 + burst)))
    }
    let rates = MinuteRates(looks)
    #expect((rates.median, rates.most) == (6, 60))
    #expect(rates.high == 60)
    #expect(rates.current == 6)
    let short = MinuteRates([(0, 0), (30, 100)])
    #expect([short.current, short.median, short.high, short.most] == [200, 200, 200, 200])
    #expect(MinuteRates([]).most == 0)
  }

  @Test("A curve is drawn from nothing to the most, each character as long as the others")
  func sparkline() {
    let points = (0...8).map { (Double($0), UInt64($0)) }
    #expect(Sparkline.text(points, width: 8) == "▂▃▄▅▆▇██")
    #expect(Sparkline.text(points, width: 2) == "▅█")
    // A look that came late fills the time before it with what was known.
    #expect(Sparkline.text([(0, 4), (3, 4), (4, 8)], width: 3) == "▅▅█")
    #expect(Sparkline.text([(0, 0), (1, 0)], width: 8) == "▁▁")
    #expect(Sparkline.text([], width: 8) == "")
  }

  @Test("Times are read as people write them")
  func times() {
    #expect(TimeSpan.parse("90") == 90)
    #expect(TimeSpan.parse("90s") == 90)
    #expect(TimeSpan.parse("30m") == 1800)
    #expect(TimeSpan.parse("1.5h") == 5400)
    for text in ["", "m", "1d", "-1", "1e3", ".5h", "1 m", "nan", "inf"] {
      #expect(TimeSpan.parse(text) == nil, "\(text)")
    }
  }
}
