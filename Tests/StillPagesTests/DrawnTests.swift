import Foundation
import StillModel
import StillPages
import StillSystem
import StillTestSupport
import Synchronization
import SystemPackage
import Testing

/// The pages in a real browser: what is drawn, where, and whether it can be read.
@Suite(
  .serialized,
  .enabled(if: Browser.program != nil, "there is no Chromium here; scripts/setup installs it"))
struct DrawnTests {
  /// A page, by the name that its pictures are kept under.
  struct Sample: Sendable, CustomStringConvertible {
    var name: String
    var html: @Sendable () -> String
    var description: String { name }
  }

  static let pages = [
    Sample(name: "probe") {
      ProbePage(report: Samples.report(), hours: Samples.hours(), repository: "/backup").html
    },
    Sample(name: "probe-of-a-long-copy") { ProbePage(report: Samples.report(copyTime: 7200)).html },
    Sample(name: "probe-that-ended-early") {
      ProbePage(
        report: Samples.report(
          copyTime: 2400, until: 200, ending: .full(origin: Samples.name("vg0/data")),
          filled: [Samples.name("vg0/data"): 40 << 30])
      ).html
    },
    Sample(name: "probe-of-an-idle-server") { ProbePage(report: Samples.idle()).html },
    Sample(name: "backup") { BackupPage(record: Samples.backup(), repository: "/backup").html },
    Sample(name: "backup-online") { BackupPage(record: Samples.onlineBackup()).html },
    Sample(name: "backup-of-long-names") { BackupPage(record: Samples.longNames()).html },
    Sample(name: "hostile") {
      ProbePage(report: Samples.report(hostile: Samples.hostile), repository: Samples.hostile).html
    },
  ]
  static let desk = 1000
  static let phone = 390

  /// What was drawn of each page, for a browser takes its seconds to begin.
  private static let drawings = Mutex<[String: [Drawn]]>([:])

  /// One of the pages, on a desk and on a phone.
  private func drawn(_ page: Sample, _ scheme: Browser.Scheme = .light) throws -> [Drawn] {
    let name = "\(page) \(scheme)"
    if let known = DrawnTests.drawings.withLock({ $0[name] }) { return known }
    let drawn = try Drawn.of(
      page.html(), widths: [DrawnTests.desk, DrawnTests.phone], scheme)
    DrawnTests.drawings.withLock { $0[name] = drawn }
    return drawn
  }

  private func drawn(_ name: String) throws -> [Drawn] {
    try drawn(#require(DrawnTests.pages.first { $0.name == name }))
  }

  @Test(
    "Nothing is too small, cut off or hidden, on a desk and on a phone, in light and dark",
    arguments: pages, Browser.Scheme.allCases)
  func readable(_ page: Sample, _ scheme: Browser.Scheme) throws {
    for (drawn, width) in zip(try drawn(page, scheme), [DrawnTests.desk, DrawnTests.phone]) {
      let place = "\(page) \(width) \(scheme)"
      #expect(drawn.width == Double(width))
      #expect(scheme == .light ? drawn.paper > 0.9 : drawn.paper < 0.05, "\(place)")
      #expect(drawn.scrollWidth <= drawn.width, "\(place) scrolls sideways")
      #expect(drawn.scripts == 0 && drawn.addresses.isEmpty, "\(place)")
      for drawing in drawn.drawings {
        #expect(drawing.box.width > 300, "\(place) \(drawing.id)")
        for (index, text) in drawing.texts.enumerated() {
          let what = "\(place) \(drawing.id): \(text.text)"
          #expect(drawing.box.holds(text.box), "\(what) is cut off")
          #expect(text.box.height >= 11, "\(what) is too small")
          for other in drawing.texts.dropFirst(index + 1) {
            #expect(!text.box.overlaps(other.box), "\(what) lies on \(other.text)")
          }
        }
      }
      #expect(drawn.contrasts.count { $0.isText } > 20)
      for contrast in drawn.contrasts {
        #expect(
          contrast.ratio >= (contrast.isText ? 4.5 : 3),
          "\(place) \(contrast.what) \(contrast.ratio)")
      }
    }
  }

  @Test("The browser has no complaint", arguments: pages)
  func complaints(_ page: Sample) throws {
    #expect(try Browser().complaints(of: page.html()) == [])
  }

  @Test("A page with a script in it would be one to complain of: it is not run")
  func foul() throws {
    let html = DrawnTests.pages[0].html()
      .replacing("</main>", with: "<script>document.body.remove()</script></main>")
    let complaints = try Browser().complaints(of: html)
    #expect(complaints.count == 1 && complaints[0].contains("Content Security Policy"))
  }

  /// Where pictures are kept, for people: `.build/reports`, beside what was built.
  private static let kept = Result {
    var path = try FilePath("/proc/self/exe").resolved()
    while let last = path.lastComponent, last.string != ".build" { path.removeLastComponent() }
    let folder = path.appending("reports")
    try FileManager.default.createDirectory(
      atPath: folder.string, withIntermediateDirectories: true)
    return folder
  }

  @Test("Pictures are kept, and what a printer would make", arguments: ["probe", "backup"])
  func pictures(_ name: String) throws {
    let page = try #require(DrawnTests.pages.first { $0.name == name })
    let (html, folder) = (page.html(), try DrawnTests.kept.get())
    for (index, scheme) in [(0, Browser.Scheme.light), (0, .dark), (1, .light)] {
      let drawn = try drawn(page, scheme)[index]
      let path = folder.appending("\(page)-\(index == 0 ? "desk" : "phone")-\(scheme).png")
      try? FileManager.default.removeItem(atPath: path.string)
      try Browser(scheme).picture(
        of: html, size: (Int(drawn.width), Int(drawn.height)), at: path)
      let bytes = try Data(contentsOf: URL(filePath: path.string))
      // A PNG begins so, and an empty page has few kilobytes.
      #expect(bytes.dropFirst().starts(with: Data("PNG".utf8)) && bytes.count > 50_000)
    }
    let path = folder.appending("\(page).pdf")
    try? FileManager.default.removeItem(atPath: path.string)
    // On paper it is light, whatever the screen is.
    try Browser(.dark).print(html, at: path)
    let text = String(decoding: try Data(contentsOf: URL(filePath: path.string)), as: UTF8.self)
    let sheets = text.components(separatedBy: "/Type /Page\n").count - 1
    #expect(text.hasPrefix("%PDF-") && (2...5).contains(sheets), "\(sheets) sheets")
  }

  // MARK: - What is drawn

  private func minutes(_ text: String) -> Double? {
    text == "0" ? 0 : text.hasSuffix(" min") ? Double(text.dropLast(4)).map { $0 * 60 } : nil
  }
  private func bytes(_ text: String) -> Double? {
    ByteCount.parse(text.replacing(" ", with: "")).map { Double($0) }
  }

  /// The curve of a drawing in seconds and bytes, read off with its own axes, and what a pixel of it stands for.
  private func read(
    _ drawing: Drawn.Drawing
  ) throws -> (points: [(time: Double, amount: Double)], pixel: (time: Double, amount: Double)) {
    let time = try #require(drawing.scale("time", { $0.x + $0.width / 2 }, minutes))
    let amount = try #require(drawing.scale("amount", { $0.y + $0.height / 2 }, bytes))
    let curve = try #require(drawing.marks("curve").first)
    // The label of an amount stands a little lower than its line.
    let floor = try #require(drawing.marks("axis").first)
    let lift = amount(floor.box.y)
    let points = stride(from: 0, to: curve.points.count, by: 2).map {
      (time(curve.points[$0]), amount(curve.points[$0 + 1]) - lift)
    }
    return (points, (abs(time(1) - time(0)), abs(amount(1) - amount(0))))
  }

  @Test(
    "The curves of a probe are its looks", arguments: [0, 1], ["probe", "probe-of-a-long-copy"])
  func curves(_ device: Int, _ name: String) throws {
    let drawn = try drawn(name)[device]
    let copyTime = name == "probe" ? 760.0 : 7200
    let report = Samples.report(copyTime: copyTime)
    for (index, volume) in report.volumes.enumerated() {
      let drawing = try #require(drawn.drawing("need-\(index)-"))
      let (points, pixel) = try read(drawing)
      #expect((150...302).contains(points.count))
      #expect(abs(points[0].time) <= 2 * pixel.time)
      #expect(abs((points.last?.time ?? 0) - 1800) <= 2 * pixel.time)
      for point in points {
        // Some look of about that time has that fill.
        let near = report.samples.filter { abs($0.seconds - point.time) <= 2 * pixel.time + 1 }
        let miss = near.map { abs(Double($0.used[index]) - point.amount) }.min() ?? .infinity
        #expect(miss <= 2 * pixel.amount, "\(volume.origin) at \(point)")
      }
      let rings = drawing.marks("checkpoint")
      #expect(rings.count == 4)
      for (ring, seconds) in zip(rings, [225.0, 450, 900, 1800]) {
        let look = try #require(report.samples.first { $0.seconds == seconds })
        #expect(ring.text.hasSuffix(ByteCount.text(look.used[index])))
      }
      // The projection ends where the copy does, and the size is a line above it.
      let time = try #require(drawing.scale("time", { $0.x + $0.width / 2 }, minutes))
      for dot in drawing.marks("dot") {
        #expect(abs(time(dot.box.x + dot.box.width / 2) - copyTime) <= 2 * pixel.time)
      }
      #expect(drawing.marks("dot").count == 2)
      let names = drawing.texts.map(\.text)
      for word in ["seen ", "expected ", "95 % ", "size "] {
        #expect(names.contains { $0.hasPrefix(word) }, "\(names)")
      }
      #expect(names.contains("the copy ends"))
      #expect(drawing.marks("fan").isEmpty == (copyTime < 1800))
    }
  }

  @Test("The most that is likely stands above what is expected, and below the size")
  func order() throws {
    let report = Samples.report(copyTime: 7200)
    let drawn = try drawn("probe-of-a-long-copy")[0]
    for index in report.volumes.indices {
      let drawing = try #require(drawn.drawing("need-\(index)-"))
      let dots = drawing.marks("dot").map(\.box.y)
      let size = try #require(drawing.marks("size").first).box.y
      #expect(dots[0] <= dots[1], "likely is higher up")
      #expect(size <= dots[0] + 4)
    }
  }

  @Test(
    "The heat map has every hour once: darker where more was written, hatched where nobody looked",
    arguments: [0, 1])
  func hours(_ device: Int) throws {
    let rates = Samples.hours()
    let drawn = try drawn("probe")[device]
    let map = try #require(drawn.drawing("hours-"))
    // Five shades are the key.
    let cells = map.marks("cell").filter { !$0.text.isEmpty }
    #expect(cells.count == rates.cells.count)
    #expect(map.marks("unseen").count == 168 - rates.cells.count)
    let all = cells + map.marks("unseen")
    for (index, cell) in all.enumerated() {
      #expect(cell.box.width > 10 && cell.box.height > 10)
      #expect(!all.dropFirst(index + 1).contains { $0.box.overlaps(cell.box) })
    }
    let days = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
    func cell(_ rate: HourlyRates.Cell) throws -> Drawn.Mark {
      let hour = rate.hour < 10 ? "0\(rate.hour)" : "\(rate.hour)"
      return try #require(
        cells.first { $0.text.hasPrefix("\(days[rate.weekday - 1]) \(hour):00: ") })
    }
    let sorted = rates.cells.sorted { $0.bytesPerMinute < $1.bytesPerMinute }
    var before = 0.0
    for rate in sorted {
      let mark = try cell(rate)
      #expect(mark.opacity >= before && mark.text.contains(ByteCount.text(rate.bytesPerMinute)))
      before = mark.opacity
    }
    #expect(before == 1)
    #expect(drawn.text.contains("was the quietest (2.0 MiB a minute)"))
  }

  @Test(
    "The phases of a backup are to scale, and what is too short to be seen is seen",
    arguments: [0, 1])
  func phases(_ device: Int) throws {
    let record = Samples.backup()
    let drawn = try drawn("backup")[device]
    let bars = try #require(drawn.drawing("phases-")).marks("bar")
    #expect(bars.count == record.phases.count)
    let scale = (bars.last?.box.width ?? 0) / record.seconds(of: "copy")
    for (bar, phase) in zip(bars, record.phases) {
      #expect(abs(bar.box.width - max(phase.seconds * scale, 2)) < 1, "\(phase)")
      #expect(bar.text.hasPrefix("\(phase.name): "))
    }
    #expect(drawn.text.contains("The shortest bars are drawn longer than they are"))
  }

  @Test("The freeze window is to scale, volume by volume", arguments: [0, 1])
  func window(_ device: Int) throws {
    let record = Samples.backup()
    let freeze = try #require(record.freeze)
    let drawn = try drawn("backup")[device]
    let drawing = try #require(drawn.drawing("window-"))
    let held = drawing.marks("held")
    #expect(held.count == 3)
    // Milliseconds in a pixel, and where 0 is, from the first and the last edge.
    let end = try #require(freeze.volumes.map(\.resume.end).max())
    let left = try #require(held.first).box.x
    let right = try #require(held.map(\.box.right).max())
    func x(_ milliseconds: Double) -> Double { left + (right - left) * milliseconds / end }
    for (index, volume) in freeze.volumes.enumerated() {
      for (style, span) in [
        ("suspend", volume.suspend), ("take", volume.take), ("resume", volume.resume),
      ] {
        let bar = drawing.marks(style)[index]
        #expect(abs(bar.box.x - x(span.begin)) < 1 && abs(bar.box.right - x(span.end)) < 1)
      }
    }
    let still = try #require(drawing.marks("still").first)
    #expect(abs(still.box.x - x(2.6)) < 1 && abs(still.box.right - x(5.8)) < 1)
  }

  @Test("Fill and rate of a backup are what was seen, and the size is a stair", arguments: [0, 1])
  func fill(_ device: Int) throws {
    let record = Samples.backup()
    let drawn = try drawn("backup")[device]
    for index in 0..<3 {
      let drawing = try #require(drawn.drawing("fill-\(index)-"))
      let (points, pixel) = try read(drawing)
      for point in points {
        let near = record.fillHistory.filter { abs($0.seconds - point.time) <= 2 * pixel.time + 1 }
        let miss = near.map { abs(Double($0.used[index]) - point.amount) }.min() ?? .infinity
        #expect(miss <= 2 * pixel.amount, "\(index) at \(point)")
      }
    }
    let grown = try #require(drawn.drawing("fill-0-"))
    let stair = try #require(grown.marks("size").first)
    #expect(stair.points.count == 8)
    let time = try #require(grown.scale("time", { $0.x + $0.width / 2 }, minutes))
    #expect(abs(time(stair.points[2]) - 402) < 10)
    #expect(stair.points[3] > stair.points[5] + 20, "it goes up")
    #expect(grown.texts.contains { $0.text.hasPrefix("extended") })
    // What is far above the picture is said, not drawn.
    let small = try #require(drawn.drawing("fill-2-"))
    #expect(small.marks("size").isEmpty)
    #expect(small.texts.contains { $0.text == "size 1.0 GiB ↑" })

    let rate = try #require(drawn.drawing("rate-")?.marks("curve").first)
    let heights = stride(from: 1, to: rate.points.count, by: 2).map { rate.points[$0] }
    #expect(heights[0] > (heights.last ?? 0) + 30, "slower at the beginning")
  }

  @Test("A backup without a freeze has none of its pictures")
  func online() throws {
    let drawn = try drawn("backup-online")[0]
    #expect(drawn.drawings.map(\.id) == ["phases-wide"])
    #expect(drawn.headings.contains("Mind") && !drawn.headings.contains("The freeze window"))
  }

  @Test("What to type comes first, in one line that can be copied")
  func command() throws {
    let drawn = try drawn("probe")[0]
    #expect(drawn.headline.hasPrefix("Tonight, give each snapshot "))
    let size = try #require(Samples.report().snapshotSize.map(ByteCount.option))
    #expect(
      drawn.commands == [
        "pgstill backup --pgdata /var/lib/postgresql/15/main --repo /backup --snapshot-size \(size)"
      ])
    #expect(drawn.text.hasPrefix("pgstill probe of /var/lib/postgresql/15/main"))
  }

  @Test("Markup in names and paths is text")
  func hostile() throws {
    let drawn = try drawn("hostile")[0]
    #expect(drawn.scripts == 0)
    #expect(drawn.text.contains(Samples.hostile))
    #expect(drawn.commands[0].contains("'/var/lib/postgresql/15/main" + Samples.hostile))
  }
}
