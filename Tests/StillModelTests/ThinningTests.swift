import StillModel
import Testing

/// What is kept of many looks.
@Suite struct ThinningTests {
  private func looks(_ count: Int, marks: Set<Int> = []) -> [ProbeSample] {
    (0..<count).map {
      ProbeSample(
        seconds: Double($0), wal: 0, used: [UInt64($0)], written: [],
        flushedFrom: marks.contains($0) ? Double($0) - 0.5 : nil)
    }
  }

  @Test("A day of looks becomes a few hundred that are as far apart, from the first to the last")
  func day() {
    let few = ProbeSample.thinned(looks(86_401), to: 400)
    #expect((390...402).contains(few.count))
    #expect(few.first?.seconds == 0 && few.last?.seconds == 86_400)
    let gaps = zip(few, few.dropFirst()).map { $1.seconds - $0.seconds }
    #expect(gaps.allSatisfy { $0 <= 218 })
  }

  @Test("What was seen at a checkpoint stays, and right before it")
  func marks() {
    let few = ProbeSample.thinned(looks(10_001, marks: [1234, 9999]), to: 100)
    let kept = Set(few.map(\.seconds))
    #expect(kept.isSuperset(of: [0, 1233, 1234, 9998, 9999, 10_000]))
    #expect(few.count <= 106)
    #expect(few.map(\.seconds) == few.map(\.seconds).sorted())
  }

  @Test("Few looks stay as they are, also such of one moment")
  func few() {
    #expect(ProbeSample.thinned(looks(400), to: 400).count == 400)
    #expect(ProbeSample.thinned([], to: 400).isEmpty)
    let still = (0..<500).map { _ in ProbeSample(seconds: 1, wal: 0, used: [], written: []) }
    #expect(!ProbeSample.thinned(still, to: 400).isEmpty)
  }
}
