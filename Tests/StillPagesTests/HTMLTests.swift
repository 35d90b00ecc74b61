import StillModel
import Testing

@testable import StillPages

/// What pages are made of.
@Suite struct HTMLTests {
  @Test("Text is escaped, and only another piece goes in as it is")
  func escapes() {
    let name = "<b a='\"'>&amp;"
    let piece: HTML = "<p>\(name)</p>"
    #expect(piece.source == "<p>&lt;b a=&#39;&quot;&#39;&gt;&amp;amp;</p>")
    #expect(("<div>\(piece)</div>" as HTML).source == "<div>\(piece.source)</div>")
    #expect(("\([piece, "x"])" as HTML).source == piece.source + "x")
  }

  @Test(
    "Control characters and those that turn the direction of writing are shown as what they are")
  func controls() {
    #expect(
      HTML.escaped("a\u{1B}[2Jb\u{202E}c\u{0}d\u{2066}e")
        == "a\u{FFFD}[2Jb\u{FFFD}c\u{FFFD}d\u{FFFD}e")
    #expect(HTML.escaped("two\nlines, grün 漢字") == "two\nlines, grün 漢字")
  }

  @Test("A length has one digit after the point, and is one")
  func lengths() {
    #expect(("\(1.25) \(-0.04) \(3.0) \(7)" as HTML).source == "1.3 0 3 7")
    #expect(("\(Double.nan) \(Double.infinity) \(1e300)" as HTML).source == "0 0 1000000")
  }

  @Test("A size for where there is little room is the same, and has eight letters at most")
  func brief() {
    func brief(_ mebibytes: Double) -> String { ByteCount.brief(UInt64(mebibytes * 1_048_576)) }
    #expect(
      [0.5, 1.26, 99.96, 100, 1023.9, 1480].map(brief)
        == ["512 KiB", "1.2 MiB", "99.9 MiB", "100 MiB", "1023 MiB", "1.4 GiB"])
    #expect(ByteCount.brief(17) == "17 B")
  }

  @Test("Round places on an axis: powers of two, and times as clocks have them")
  func ticks() {
    func bytes(_ end: Double) -> [String] { Ticks.bytes(upTo: end).map(\.label) }
    #expect(bytes(1.3 * 1_073_741_824) == ["0", "512 MiB", "1 GiB"])
    #expect(
      bytes(1_073_741_824 * 1.25) == ["0", "256 MiB", "512 MiB", "768 MiB", "1 GiB", "1.25 GiB"])
    #expect(bytes(3) == ["0", "1 B", "2 B", "3 B"])
    #expect(bytes(0) == ["0"])
    func seconds(_ end: Double) -> [String] { Ticks.seconds(upTo: end, most: 6).map(\.label) }
    #expect(seconds(1800) == ["0", "5 min", "10 min", "15 min", "20 min", "25 min", "30 min"])
    #expect(seconds(7200) == ["0", "30 min", "60 min", "90 min", "120 min"])
    #expect(seconds(30) == ["0", "5 s", "10 s", "15 s", "20 s", "25 s", "30 s"])
    #expect(seconds(0.5) == ["0", "0.1 s", "0.2 s", "0.3 s", "0.4 s", "0.5 s"])
    #expect(seconds(40000) == ["0", "2 h", "4 h", "6 h", "8 h", "10 h"])
    #expect(seconds(1e7).count < 8)
    #expect(Ticks.milliseconds(upTo: 7.3, most: 6).map(\.label) == ["0", "2 ms", "4 ms", "6 ms"])
    #expect(Ticks.milliseconds(upTo: 0.03, most: 6).map(\.label).last == "0.03 ms")
  }

  @Test("What is thinned out keeps its ends, its order, and a point of each stretch")
  func thinned() {
    let points = (0...5000).map { Plot.Point(time: Double($0), amount: Double($0 * $0)) }
    let thinned = points.thinned(to: 300)
    #expect((290...302).contains(thinned.count))
    #expect(thinned.first == points.first && thinned.last == points.last)
    for (before, after) in zip(thinned, thinned.dropFirst()) {
      #expect((1...40).contains(after.time - before.time))
    }
    #expect(points.prefix(10).map(\.self).thinned(to: 300).count == 10)
    #expect([Plot.Point]().thinned(to: 300).isEmpty)
  }
}
