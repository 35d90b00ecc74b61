import Foundation
import StillModel
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

/// `pgstill probe` on a machine where nothing can be snapshotted: what it says, and how it ends.
@Suite struct ProbeTests {
  private let site: Site
  private let place: TestFolder

  init() throws {
    site = try Site.shared.get()
    place = try TestFolder(on: .memory, owner: FakeHost.owner)
  }

  private func words(_ more: String...) -> [String] {
    ["probe", "--pgdata", site.dataDirectory, "--progress", "none"] + more
  }

  @Test("The recommendation comes first, and what it is from; talk goes elsewhere")
  func text() throws {
    let outcome = try PgstillProgram.run([
      "probe", "--pgdata", site.dataDirectory, "--duration", "2s", "--interval", "0.2",
      "--copy-time", "10m",
    ])
    #expect(outcome.status == 0, "\(outcome.talk)")
    let lines = outcome.output.split(separator: "\n").map(String.init)
    #expect(
      lines.first
        == "no volume was snapshotted: for a copy of 10 min 00 s (--copy-time) there are only "
        + "upper bounds, of what is written")
    #expect(lines.contains { $0.hasPrefix("UPPER BOUND for") })
    #expect(lines.contains { $0.hasPrefix("watched for ") })
    #expect(lines.filter { $0.hasPrefix("not snapshotted: ") }.count == 2)
    #expect(outcome.talk.contains("watch: what is written"))
  }

  @Test("The document has the same, with every look")
  func json() throws {
    let outcome = try PgstillProgram.run(
      words("--duration", "1s", "--interval", "0.1", "--copy-time", "60", "--json"))
    #expect(outcome.status == 0, "\(outcome.talk)")
    let found = try document(outcome)
    #expect((found["recommendation"] as? String)?.contains("only upper bounds") == true)
    #expect(found["endedEarly"] == nil && found["snapshotSize"] == nil)
    let report = try #require(found["report"] as? [String: Any])
    #expect((report["bounds"] as? [Any])?.count == 2)
    let samples = try #require(report["samples"] as? [[String: Any]])
    #expect(samples.count >= 5)
    #expect(samples.compactMap { $0["flushedFrom"] }.count == 4)
  }

  @Test("A dry run says what it would do, and asks for no checkpoint")
  func dryRun() throws {
    let outcome = try PgstillProgram.run(
      words("--dry-run", "--repo", site.repository.string, "--cluster", "main"))
    #expect(outcome.status == 0, "\(outcome.talk)")
    #expect(outcome.output.contains("for 30 min 00 s, a look every 1.0 s, 4 checkpoints"))
    #expect(outcome.output.contains(": the longest of the last 3 backups\n"))
    #expect(outcome.output.contains("an upper bound only"))
    // Nobody else asks for one of this cluster.
    let cluster = try ThrowAwayCluster()
    let count = "SELECT checkpoints_req FROM pg_stat_bgwriter"
    let before = try cluster.sql(count)
    let alone = try PgstillProgram.run(
      ["probe", "--pgdata", cluster.dataDirectory.string, "--dry-run", "--copy-time", "1m"])
    #expect(alone.status == 0, "\(alone.talk)")
    #expect(try cluster.sql(count) == before)
  }

  @Test("A signal ends it early with a report and with 0", arguments: [SIGINT, SIGTERM])
  func signal(_ signal: Int32) throws {
    let marks = place.path.appending("marks").string
    try Tool.demand("install", "-m", "666", "/dev/null", marks)
    let (output, talk) = (try OpenFile.inMemory(), try OpenFile.inMemory())
    let child = try Child.start(
      PgstillProgram.path(), words("--duration", "1h", "--copy-time", "10m"),
      environment: ["PATH": "/usr/bin:/bin", "PGSTILL_TEST_MARKS": marks],
      input: .open("/dev/null"), output: output, errors: talk)
    while try !String(contentsOfFile: marks, encoding: .utf8).contains(" watching\n") {
      if let status = child.statusIfEnded() { throw Trouble("it ended with \(status)") }
      usleep(10_000)
    }
    kill(child.process, signal)
    #expect(child.wait() == 0)
    func text(_ file: OpenFile) throws -> String {
      try file.rewind()
      return String(decoding: try file.readAll(), as: UTF8.self)
    }
    #expect(try text(talk).contains("signal \(signal): stopping; what was seen follows"))
    let report = try text(output)
    #expect(report.contains("only upper bounds"))
    #expect(report.contains("ended early, after "))
    #expect(report.contains(" of 1 h 00 min: signal \(signal)\n"))
  }

  @Test("The backups of another cluster say nothing of this one")
  func otherCluster() throws {
    let cluster = try ThrowAwayCluster()
    let refusal = try refused(
      [
        "probe", "--pgdata", cluster.dataDirectory.string, "--repo", site.repository.string,
        "--cluster", "main", "--dry-run",
      ], 11)
    #expect(refusal.message.contains("backups of another cluster"))
    for repository in ["/nowhere/at/all", "/proc/new"] {
      _ = try refused(
        ["probe", "--pgdata", cluster.dataDirectory.string, "--dry-run", "--repo", repository], 11)
    }
  }
}
