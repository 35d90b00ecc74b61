import StillModel
import Testing

@Suite struct NightlyNeedTests {
  private let gib: UInt64 = 1 << 30

  @Test("Two nights say nothing; three do")
  func tooFew() {
    #expect(NightlyNeed([]) == nil)
    #expect(NightlyNeed([gib, gib]) == nil)
    #expect(NightlyNeed([gib, gib, gib])?.nights == 3)
  }

  @Test("Nights that are all alike need what they needed")
  func alike() throws {
    let need = try #require(NightlyNeed([gib, gib, gib, gib]))
    #expect(need.most == gib)
    #expect(abs(Double(need.likely) / Double(gib) - 1) < 1e-9)
    #expect(NightlyNeed([0, 0, 0])?.likely ?? 0 < 5000)
  }

  /// Student's t for 0.95 and 4 degrees of freedom is 2.132; the deviation of these logarithms is ln 2 times
  /// the root of 2.5, and so the bound 4 · 2^(2.132 · 1.5811 · √1.2).
  @Test("The bound is that of the textbook")
  func bound() throws {
    let need = try #require(NightlyNeed([1, 2, 4, 8, 16].map { $0 * gib }))
    #expect(abs(Double(need.likely) / Double(gib) - 51.8) < 0.3, "\(need.likely)")
  }

  @Test("Of nights like the others, 19 of 20 stay below it")
  func covers() throws {
    var random = SystemRandomNumberGenerator()
    /// Spread as real nights are: a product of a few things.
    func night() -> UInt64 {
      let factor = (0..<4).reduce(1.0) { product, _ in
        product * Double.random(in: 0.7...1.4, using: &random)
      }
      return UInt64(factor * Double(gib))
    }
    for count in [3, 7, 14] {
      let tries = 4000
      let covered = (0..<tries).filter { _ in
        let need = NightlyNeed((0..<count).map { _ in night() })
        return night() <= need?.likely ?? 0
      }.count
      // Six standard deviations of such a count are 0.02.
      #expect(abs(Double(covered) / Double(tries) - 0.95) < 0.03, "\(count): \(covered)")
    }
  }
}
