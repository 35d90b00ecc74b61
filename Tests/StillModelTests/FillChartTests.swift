import Foundation
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
        "         0 └┴─────────┴────────┴",
        "            0         2 min    4 min",
      ])
  }

  @Test("Where the locale is not UTF-8 there is nothing but ASCII")
  func plain() throws {
    let picture = lines(
      try volume([0, 10, 20, 30, 40, 50, 60, 61], sizes: [(0, 64), (240, 128)]), width: 48,
      isPlain: true)
    #expect(picture.joined().utf8.allSatisfy { $0 < 128 })
    #expect(
      picture == [
        "vg0/data: 61.0 MiB used at the end, of 128.0 MiB; extended after 4 min 00 s from 64.0 MiB "
          + "to 128.0 MiB",
        " 128.0 MiB +                    ----------------",
        "           |",
        "           |",
        "           |",
        "  64.0 MiB +--------------------     .....::::::",
        "           |                    :::::###########",
        "           |          .....#####################",
        "           |     :::::##########################",
        "         0 ++------------------------+----------",
        "            0                        5 min",
      ])
  }

  @Test("A store that is far larger than what was used would make the curve flat")
  func far() throws {
    let picture = lines(try volume([1, 2, 4], sizes: [(0, 1024)]))
    #expect(
      picture.first
        == "vg0/data: 4.0 MiB used at the end, of 1.0 GiB; its size is above the picture")
    #expect(picture[1].hasPrefix("   4.0 MiB ┤"))
    #expect(!picture.joined().contains("▔"))
    let near = lines(try volume([1, 2, 4], sizes: [(0, 16)]))
    #expect(near[1].hasPrefix("  16.0 MiB ┤▔"))
  }

  @Test("One that overflowed ends with a cross in the highest row")
  func overflow() throws {
    let picture = lines(try volume([0, 20, 64], sizes: [(0, 64)], overflow: true))
    #expect(picture[0] == "vg0/data: OVERFLOWED at 64.0 MiB (✗)")
    #expect(picture[1].hasSuffix("▔✗"))
    #expect(picture.joined().count { $0 == "✗" } == 2)
  }

  @Test("The picture is as wide as it may be, and its time axis as long", arguments: [40, 60, 200])
  func widths(_ width: Int) throws {
    let used = (0...1800).map { UInt64($0) }
    let picture = lines(try volume(used, every: 1, sizes: [(0, 2000)]), width: width)
    #expect(picture.dropFirst().allSatisfy { $0.count <= width + 6 })
    #expect(picture[9].count == width)
    #expect(picture[8].count == width, "the lowest row goes to the end")
    let labels = picture[10].split(separator: "  ").map { $0.trimmingCharacters(in: .whitespaces) }
    let expected: [Int: [String]] = [
      40: ["0", "15 min", "30 min"],
      60: ["0", "10 min", "20 min", "30 min"],
      200: ["0"] + (1...15).map { "\($0 * 2) min" },
    ]
    #expect(labels.filter { !$0.isEmpty } == expected[width])
  }

  @Test("Of a pool there is no size, of nothing no picture, and one look is a picture too")
  func few() throws {
    let pool = lines(try volume([100, 101], sizes: []))
    #expect(pool[0] == "vg0/data: its pool was at 101.0 MiB at the end, whoever wrote it")
    #expect(try lines(volume([], sizes: [])).count == 1)
    #expect(try lines(volume([0, 0], sizes: [(0, 0)])).count == 1)
    let one = lines(try volume([5], sizes: [(0, 10)]))
    #expect(one.count == 11)
    #expect(one[10].hasSuffix(" 0"))
    let idle = lines(try volume([0, 0], sizes: [(0, 64)]))
    #expect(idle.count == 1)
  }

  @Test("Sparks are plain where they have to be")
  func sparks() {
    let points = (0...8).map { (Double($0), UInt64($0)) }
    #expect(Sparkline.text(points, width: 8, isPlain: true) == ".-~=+*##")
  }
}
