import Foundation
import StillModel
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

@testable import StillEngine

/// `status` of a repository, and as a monitoring plugin.
@Suite struct StatusTests {
  /// A repository with backups that began so many hours ago, each of which needed so much of its first
  /// volume.
  private struct Nights {
    let damaged: Damaged
    var repository: String { damaged.repository }

    init(_ nights: [(hoursAgo: Double, needed: UInt64)]) throws {
      damaged = try Damaged(try Site.shared.get())
      let now = Clock.now().secondsSince1970
      let cluster = damaged.backup.removingLastComponent()
      for night in nights {
        let began = CalendarTime(secondsSince1970: now - Int64(night.hoursAgo * 3600))
        let id = RunID(at: began, salt: 7)
        let new = cluster.appending(id.description)
        try Tool.demand("cp", "-a", damaged.backup.string, new.string)
        try Nights.change(new) { record in
          record.id = id
          record.began = began
          record.fillHistory = [.init(seconds: 1, used: [night.needed, 4096, 4096])]
          for index in record.freeze?.volumes.indices ?? 0..<0 {
            record.freeze?.volumes[index].fill.used = 4096
          }
        }
      }
      try FileManager.default.removeItem(atPath: damaged.backup.string)
      try TestFolder.give(damaged.place.path, to: FakeHost.owner)
    }

    static func change(_ backup: FilePath, _ body: (inout BackupRecord) -> Void) throws {
      let file = backup.appending("backup.json")
      var record = try RecordFile.read(OpenFile.open(file))
      body(&record)
      try FileManager.default.removeItem(atPath: file.string)
      try RecordFile.write(record, to: OpenFile.open(file, .create(permissions: 0o600)))
      try TestFolder.give(file, to: FakeHost.owner)
    }

    func newest() throws -> FilePath {
      let cluster = damaged.backup.removingLastComponent()
      let ids = try FileManager.default.contentsOfDirectory(atPath: cluster.string)
      return cluster.appending(try #require(ids.filter { $0.first != "." && $0 != "latest" }.max()))
    }

    func monitor(_ words: String...) throws -> Tool.Outcome {
      try PgstillProgram.run(["status", "--repo", repository] + words)
    }
  }

  private static let mib: UInt64 = 1 << 20

  @Test("A fresh backup is OK, in one line with performance data")
  func fine() throws {
    let nights = try Nights([(50, 10 * Self.mib), (26, 12 * Self.mib), (2, 11 * Self.mib)])
    let outcome = try nights.monitor("--max-age", "26h")
    #expect(outcome.status == 0, "\(outcome.talk)")
    #expect(
      outcome.output.hasPrefix("PGSTILL OK - main: last backup 2 h 00 min ago | 'main age'=72"))
    #expect(outcome.output.contains("s;;93600;0 'main backups'=3;;;0"))
    #expect(outcome.output.contains("=\(11 * Self.mib)B;;;0"))
    #expect(outcome.output.split(separator: "\n").count == 1)
  }

  @Test("An old one is CRITICAL, and so is none")
  func old() throws {
    let nights = try Nights([(27, Self.mib)])
    let outcome = try nights.monitor("--max-age", "26h")
    #expect(outcome.status == 2)
    #expect(outcome.output.hasPrefix("PGSTILL CRITICAL - main: last backup 27 h 00 min ago |"))
    #expect(try nights.monitor("--max-age", "1700m").status == 0)
    try FileManager.default.removeItem(atPath: nights.newest().string)
    let none = try nights.monitor("--max-age", "26h")
    #expect(none.status == 2)
    #expect(none.output.contains("main: there is no backup"))
  }

  @Test("What is wrong with the last backup, or with any one's record, is a WARNING")
  func faults() throws {
    let nights = try Nights([(3, Self.mib), (1, Self.mib)])
    try Nights.change(nights.newest()) { $0.missing = ["the | configuration"] }
    let lacking = try nights.monitor("--max-age", "26h")
    #expect(lacking.status == 1)
    #expect(lacking.output.contains("it lacks the   configuration |"), "\(lacking.output)")
    try "{".write(
      toFile: nights.newest().appending("backup.json").string, atomically: false, encoding: .utf8)
    let broken = try nights.monitor("--max-age", "26h")
    #expect(broken.status == 1)
    #expect(broken.output.contains("WARNING - main: damaged: "), "\(broken.output)")
    let found = try document(nights.monitor("--max-age", "26h", "--json"))
    #expect(found["state"] as? Int == 1)
  }

  @Test("What cannot be asked is UNKNOWN, and no failure of another number")
  func unknown() throws {
    let nights = try Nights([(1, Self.mib)])
    let missing = try PgstillProgram.run(["status", "--repo", "/nowhere", "--max-age", "1h"])
    #expect(missing.status == 3)
    #expect(missing.output.hasPrefix("PGSTILL UNKNOWN - ") && missing.output.contains("/nowhere"))
    #expect(try nights.monitor("--max-age", "1h", "--cluster", "other").status == 3)
    for words in [["--max-age", "1h"], ["--cluster", "main"]] {
      #expect(try PgstillProgram.run(["status"] + words).status == 64)
    }
    for words in [["--max-age", "soon"], ["--max-age", "0"], ["--watch", "--json"]] {
      #expect(try PgstillProgram.run(["status", "--repo", nights.repository] + words).status == 64)
    }
  }

  @Test("What snapshots needed, night by night, and what the next one does")
  func needs() throws {
    let nights = try Nights([
      (74, 10 * Self.mib), (50, 10 * Self.mib), (26, 10 * Self.mib), (2, 10 * Self.mib),
    ])
    let outcome = try nights.monitor()
    #expect(outcome.status == 0, "\(outcome.talk)")
    #expect(outcome.output.contains("nothing is held\ncluster main: last backup "))
    #expect(outcome.output.contains("2 h 00 min ago, of 4\n"))
    #expect(
      outcome.output.contains(
        "needed 10.0 MiB, 10.0 MiB, 10.0 MiB, 10.0 MiB  the next at most 10.0 MiB (95 %)"),
      "\(outcome.output)")
    let clusters = try document(nights.monitor("--json"))["clusters"] as? [[String: Any]]
    #expect(clusters?.first?["backups"] as? Int == 4)
  }

  @Test("The trend of the nights is a curve that begins with the oldest, plain where it has to be")
  func trend() throws {
    let nights = try Nights([
      (74, 10 * Self.mib), (50, 20 * Self.mib), (26, 40 * Self.mib), (2, 80 * Self.mib),
    ])
    #expect(try nights.monitor().output.contains("(95 %)  ▂▃▅█\n"))
    let plain = try PgstillProgram.run(
      ["status", "--repo", nights.repository], environment: ["LC_ALL": "C"])
    #expect(plain.output.contains("(95 %)  .-=#\n"), "\(plain.output)")
    // Two are no curve.
    #expect(!(try Nights([(26, Self.mib), (2, Self.mib)]).monitor().output.contains("█")))
  }

  @Test("It says at which hours least is written, by the clock of this host")
  func hours() throws {
    let nights = try Nights([(26, Self.mib), (2, Self.mib)])
    let fewer = "which are the quietest, pgstill probe --duration 24h --repo DIR finds out"
    try Nights.change(nights.newest()) { record in
      record.freeze?.at = CalendarTime(secondsSince1970: 1_795_140_000)  // 2026-11-20 02:00 UTC
      // A MiB in each minute of the first and the third hour, ten of the second.
      record.fillHistory = (0...180).map { minute in
        let most: [UInt64] = [1, 10, 1]
        let written = (0..<minute).reduce(UInt64(0)) { $0 + most[$1 / 60] * Self.mib }
        return .init(
          seconds: Double(minute) * 60, used: [4096, 4096, 4096], written: [written, 0, nil])
      }
    }
    func output(_ zone: String) throws -> String {
      try PgstillProgram.run(["status", "--repo", nights.repository], environment: ["TZ": zone])
        .output
    }
    #expect(
      try output("UTC").contains(
        "  quietest hours seen: 02:00 (1.0 MiB a minute), 04:00 (1.0 MiB a minute); "
          + "busiest 03:00 (10.0 MiB a minute)\n"))
    #expect(try output("XXX-5").contains("; busiest 08:00 (10.0 MiB a minute)\n"))
    let cluster = try document(nights.monitor("--json"))["clusters"] as? [[String: Any]]
    let cells = (cluster?.first?["hours"] as? [String: Any])?["cells"] as? [[String: Any]]
    #expect(cells?.count == 3)
    #expect(cells?.first?["weekday"] as? Int == 5)
    try Nights.change(nights.newest()) { $0.fillHistory = Array($0.fillHistory.prefix(30)) }
    #expect(try output("UTC").contains(fewer))
    try Nights.change(nights.newest()) { $0.fillHistory = [] }
    #expect(!(try output("UTC").contains("hours")))
  }

  @Test("It looks again until somebody ends it")
  func watches() throws {
    let nights = try Nights([(2, Self.mib)])
    let outcome = try PgstillProgram.run(
      ["status", "--repo", nights.repository, "--watch"],
      prefix: ["timeout", "--signal=INT", "5"])
    #expect(outcome.status == 124)
    #expect(outcome.output.split(separator: "\n").filter { $0.hasPrefix("cluster main") }.count > 1)
  }
}
