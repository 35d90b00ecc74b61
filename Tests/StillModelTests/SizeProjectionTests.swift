import Testing

@testable import StillModel

/// Whether what is recommended after two minutes is right for a copy of ten.
@Suite struct SizeProjectionTests {
  private static let runs = 60
  private static let extent = 4.0 * 1024 * 1024

  private static func extents(_ bytes: Double) -> Double { (bytes / extent).rounded(.up) }

  /// What was recommended, as a multiple of what was needed; in whole extents, as LVM gives them out.
  private static func ratios(_ kind: SimulatedLoad.Kind) -> [Double] {
    (0..<runs).map { run in
      var random = SeededGenerator(seed: UInt64(run) * 7 + UInt64(kind.rawValue.utf8.count))
      let load = SimulatedLoad(kind, &random)
      let projection = SizeProjection(
        load.probe(120, &random), volume: 0, carriesWAL: true, load.pace, seconds: 600,
        safety: 2)
      let need = load.need(of: load.run(600, &random))
      return extents(Double(projection.recommended)) / max(1, extents(need))
    }
  }

  @Test("It covers 19 of 20 copies, whatever the load", arguments: SimulatedLoad.Kind.allCases)
  fileprivate func covers(_ kind: SimulatedLoad.Kind) {
    let ratios = SizeProjectionTests.ratios(kind)
    let covered = ratios.count { $0 >= 1 }
    print(
      "\(kind): \(covered) of \(ratios.count), mean \(ratios.reduce(0, +) / Double(ratios.count))")
    #expect(covered * 20 >= ratios.count * 19, "\(ratios.sorted())")
  }

  @Test("On average it is no more than twice what was needed")
  func isNotWasteful() {
    let ratios = SimulatedLoad.Kind.allCases.flatMap(SizeProjectionTests.ratios)
    #expect(ratios.reduce(0, +) / Double(ratios.count) <= 2, "\(ratios.sorted())")
  }
}
