import StillModel
import Testing

/// The picture of how a snapshot filled.
@Suite struct FillChartTests {
  private static let mib: UInt64 = 1 << 20

  private func volume(
    _ used: [UInt64], every seconds: Double = 60, sizes: [(Double, UInt64)], overflow: Bool = false
  ) throws -> RunFill.Volume {
    RunFill.Volume(
      origin: try #require(VolumeName("vg0/data")),
      used: used.enumerated().map {
        .init(seconds: Double($0.offset) * seconds, bytes: $0.element * Self.mib)
      },
      sizes: sizes.map { .init(seconds: $0.0, bytes: $0.1 * Self.mib) }, hasOverflowed: overflow)
  }

  private func lines(
    _ volume: RunFill.Volume, width: Int = 60, isPlain: Bool = false
  ) -> [String] {
    FillChart(volume, width: width, isPlain: isPlain).text.split(separator: "\n").map(String.init)
  }

  @Test("A curve in eight rows with its axes, below the size of the store")
  func curve() throws {
    let picture = lines(try volume([0, 16, 32, 48, 64], sizes: [(0, 128)]), width: 32)
    #expect(
      picture == [
        "vg0/data: 64.0 MiB used at the end, of 128.0 MiB",
        " 128.0 MiB ┤▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔",
        "           │",
        "           │",
        "           │",
        "  64.0 MiB ┤                   █",
        "           │              ██████",
        "           │         ███████████",
        "           │    ████████████████",
        "         0 └┴───────────────────",
        "            0",
      ])
  }
}
