import Foundation
import StillPages
import Testing

@testable import StillModel

/// What pages say.
@Suite struct PageTests {
  private let hostile = "&lt;/code&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;amp;&quot;"

  /// The text of the first element of a kind, tags left out.
  private func text(_ html: String, _ begin: String, _ end: String) -> String {
    guard let from = html.range(of: begin), let to = html[from.upperBound...].range(of: end) else {
      return ""
    }
    var text = ""
    var isTag = false
    for character in html[from.upperBound..<to.lowerBound] {
      if character == "<" { isTag = true }
      if !isTag { text.append(character) }
      if character == ">" { isTag = false }
    }
    return text
  }
  private func headline(_ html: String) -> String { text(html, "<h1>", "</h1>") }
  private func command(_ html: String) -> String { text(html, "<pre class=\"command\">", "</pre>") }
  private func warnings(_ html: String) -> String {
    text(html, "<section class=\"warning\">", "</section>")
  }

  @Test("A page fetches nothing, runs nothing, and says in which language it is")
  func frame() {
    for html in [
      ProbePage(report: Samples.report(), hours: Samples.hours()).html,
      BackupPage(record: Samples.backup()).html,
    ] {
      #expect(
        html.hasPrefix("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"))
      #expect(
        html.contains("content=\"default-src &#39;none&#39;; style-src &#39;unsafe-inline&#39;;"))
      #expect(
        html.contains("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"))
      for word in ["http:", "https:", "<script", "<link", "<img", " style=", "@import", " onload"] {
        #expect(!html.contains(word), "\(word)")
      }
      #expect(html.contains("(prefers-color-scheme:dark)") && html.contains("@media print"))
    }
  }

  @Test("What to type has the size of the report, the folder of the data and that of the backups")
  func typed() throws {
    let report = Samples.report()
    let size = try #require(report.snapshotSize)
    let option = ByteCount.option(size)
    #expect(ByteCount.parse(option) == size)
    let html = ProbePage(report: report, repository: "/my backups").html
    #expect(
      command(html)
        == "pgstill backup --pgdata /var/lib/postgresql/15/main --repo &#39;/my backups&#39; --snapshot-size \(option)"
    )
    #expect(
      headline(html) == "Tonight, give each snapshot \(option.dropLast()) \(option.suffix(1))iB")
    let open = ProbePage(report: report).html
    #expect(command(open).contains(" --repo DIR ") && open.contains("DIR is the folder that"))
  }

  @Test("The table has the figures of the terminal's")
  func table() {
    let report = Samples.report()
    let html = ProbePage(report: report).html
    for volume in report.volumes {
      let row = text(html, "<tr><th scope=\"row\">\(volume.origin)</th>", "</tr>")
      for bytes in [
        volume.used, volume.rates.median, volume.rates.high, volume.rates.most,
        volume.need.expected,
        volume.need.likely, volume.recommended, volume.free,
      ] { #expect(row.contains(ByteCount.text(bytes)), "\(volume.origin) \(bytes)") }
    }
    for cost in report.volumes[0].chunkCosts { #expect(html.contains(ByteCount.text(cost.bytes))) }
    #expect(report.volumes[0].chunkCosts.count == 8)
  }

  @Test("Names, paths and messages stay text, wherever they come from")
  func hostileNames() {
    var report = Samples.report(hostile: Samples.hostile)
    report.ending = .overflow(message: Samples.hostile)
    report.plan.advice = [Samples.hostile]
    report.bounds = [
      .init(mountPoint: Samples.hostile, source: Samples.hostile, written: 1, most: 2)
    ]
    for index in report.samples.indices { report.samples[index].written.append(UInt64(index)) }
    var record = Samples.backup(hostile: Samples.hostile)
    record.cluster = Samples.hostile
    record.missing = [Samples.hostile]
    record.configuration = [Samples.hostile]
    record.archives[0].name = Samples.hostile
    record.phases[0].name = Samples.hostile
    record.badPages = [BadPages(file: Samples.hostile, blocks: [1])]
    record.proof?.problems = [Samples.hostile]
    record.proof?.checks = [Samples.hostile]
    record.compression = Samples.hostile
    record.walLink = Samples.hostile
    record.tablespaces[0].target = Samples.hostile
    for html in [
      ProbePage(report: report, repository: Samples.hostile).html,
      BackupPage(record: record, repository: Samples.hostile).html,
    ] {
      #expect(!html.contains("<script"))
      #expect(html.components(separatedBy: hostile).count > 10)
    }
  }

  @Test("What stands in the way comes before anything else")
  func tight() {
    let report = Samples.report(
      copyTime: 2400, until: 200, ending: .full(origin: Samples.name("vg0/data")),
      filled: [Samples.name("vg0/data"): 40 << 30])
    let html = ProbePage(report: report).html
    #expect(headline(html) == "Tonight, give each snapshot at least 80 GiB")
    let warnings = warnings(html)
    #expect(
      warnings.contains("vg0 has 64.0 GiB free, and the snapshots would take 160.0 GiB of it"))
    #expect(warnings.contains("The probe&#39;s own snapshot of vg0/data, 40.0 GiB, was too small"))
    #expect(
      warnings.contains(
        "ended early, after 3 min 20 s of 30 min 00 s: the snapshot of vg0/data was"))
    #expect(warnings.contains("before its first checkpoint"))
    #expect(html.contains("nobody has seen."))
    // And nothing where nothing does.
    #expect(self.warnings(ProbePage(report: Samples.report()).html).isEmpty)
  }

  @Test("Of thin volumes no size is asked for, and a pool with too little room is named")
  func thin() {
    let plan = Samples.plan(copyTime: 7200)
    var facts = Samples.facts()
    for index in facts.indices {
      facts[index].kind = .thin
      facts[index].pool = ThinPool(
        name: Samples.name("vg0/pool"), size: 10 << 30, data: index == 0 ? 0.9375 : 0.1,
        metadata: 0.1)
    }
    let report = plan.report(
      Samples.samples(), .complete, kinds: [.thin, .thin, .thin], facts, [nil, nil, nil], plan.pace,
      serverBytes: nil)
    let html = ProbePage(report: report).html
    #expect(headline(html) == "There is no size to choose: the snapshots are thin")
    #expect(command(html).isEmpty)
    #expect(warnings(html).contains("The pool of vg0/data has 640.0 MiB free"))
    #expect(!warnings(html).contains("The pool of vg1/tbs"))
    #expect(html.contains("Its pool grew by"))
  }

  @Test("Without a snapshot there are upper bounds, and they are called that")
  func bounds() throws {
    let plan = Samples.plan(copyTime: 600)
    var report = Samples.report()
    report.plan = plan
    report.plan.volumes = []
    report.volumes = []
    report.bounds = [
      .init(mountPoint: "/srv", source: "the kernel", written: 5 << 20, most: 9 << 20)
    ]
    report.samples = (0...9).map {
      .init(seconds: Double($0), wal: 0, used: [], written: [UInt64($0) << 19])
    }
    let html = ProbePage(report: report).html
    #expect(headline(html) == "No volume could be snapshotted: there are only upper bounds")
    #expect(command(html).isEmpty && html.contains("id=\"bound-0-wide\""))
    #expect(html.contains("an upper bound of 9.0 MiB for the copy"))
    #expect(!html.contains("What that means"))
  }

  @Test("An hour that nobody saw is not one in which nothing was written")
  func hours() {
    let report = Samples.report()
    #expect(!ProbePage(report: report).html.contains("When it is quiet"))
    #expect(!ProbePage(report: report, hours: .init(cells: [])).html.contains("When it is quiet"))
    func rates(_ hours: [Int]) -> HourlyRates {
      HourlyRates(cells: hours.map { .init(weekday: 1, hour: $0, bytesPerMinute: 0, minutes: 30) })
    }
    // Of two hours there is nothing to be compared.
    #expect(!ProbePage(report: report, hours: rates([0, 2])).html.contains("When it is quiet"))
    let html = ProbePage(report: report, hours: rates([0, 2, 3])).html
    #expect(html.contains("Monday 00:00: 0 B a minute, seen for 30 min 00 s"))
    #expect(html.contains("Monday 01:00: nobody has looked"))
    #expect(!html.contains("Monday 01:00: 0 B"))
  }

  @Test("A backup's page says what it is, what is not in it, and how to get it back")
  func backup() {
    let record = Samples.backup()
    let html = BackupPage(record: record, repository: "/backup").html
    #expect(headline(html) == "79.0 GiB, frozen at one instant, in 7.3 ms")
    #expect(
      command(html)
        == "pgstill restore \(record.id) --repo /backup --cluster main --target TARGET --tablespace-mapping "
        + "/srv/tbs=SPACE16402")
    #expect(html.contains("After 6 min 42 s it was extended from 1.0 GiB to 2.0 GiB."))
    #expect(html.contains("Every page has the checksum that stands in it."))
    #expect(
      html.contains(
        "Proved</span>: a server was started on a copy of it on 2026-11-21 04:30:00 UTC"))
    #expect(warnings(html).isEmpty)
    let online = BackupPage(record: Samples.onlineBackup()).html
    #expect(headline(online) == "79.0 GiB, copied while the server ran")
    #expect(warnings(online).contains("Not in the backup: server.key"))
    var failed = record
    failed.proof?.problems = ["it did not start"]
    #expect(BackupPage(record: failed).html.contains("The proof failed</span>"))
    failed.downtime = .init(
      seconds: 4.2, stopSeconds: 1, stoppedWith: "pg_ctl stop", startedWith: "pg_ctl start")
    failed.consistency = .shutdown
    #expect(BackupPage(record: failed).html.contains("The server was down for 4.2 s."))
  }

  @Test("A record of an earlier pgstill has no rate, and everything else")
  func earlier() {
    var record = Samples.backup()
    #expect(BackupPage(record: record).html.contains("How fast it was copied"))
    for index in record.fillHistory.indices { record.fillHistory[index].copied = nil }
    let html = BackupPage(record: record).html
    #expect(!html.contains("How fast it was copied") && html.contains("How the snapshots filled"))
  }

  @Test("Whatever a record says, there is a page of it", arguments: Samples.absurd().indices)
  func absurd(_ index: Int) {
    let record = Samples.absurd()[index]
    #expect(record.absurdity == nil, "or nobody would read it")
    let html = BackupPage(record: record).html
    #expect(html.hasSuffix("</html>\n") && !html.contains("nan") && !html.contains("inf "))
  }
}
