import Foundation
import StillModel
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

@testable import StillEngine

/// What `probe --repo` leaves, and what the other verbs make of it.
@Suite struct KeptProbeTests {
  private let site: Site
  private let damaged: Damaged

  init() throws {
    site = try Site.shared.get()
    damaged = try Damaged(site)
  }

  private func repository(_ words: String...) throws -> Tool.Outcome {
    try PgstillProgram.run(words + ["--repo", damaged.repository])
  }

  private func runProbe(_ more: String...) throws -> Tool.Outcome {
    try PgstillProgram.run(
      [
        "probe", "--pgdata", site.dataDirectory, "--repo", damaged.repository, "--cluster", "main",
        "--duration", "1s", "--interval", "0.2", "--progress", "none",
      ] + more)
  }

  @Test("It says where its looks are kept, and show prints it again")
  func showsAgain() throws {
    let outcome = try runProbe()
    #expect(outcome.status == 0, "\(outcome.talk)")
    let last = try #require(outcome.output.split(separator: "\n").last)
    let words = last.split(separator: " ")
    #expect(words.count == 5 && last.hasPrefix("kept as "), "\(last)")
    #expect(last.hasSuffix(" in \(damaged.repository)/main"))
    let id = String(words[2])
    let again = try repository("show", id)
    #expect(again.status == 0, "\(again.talk)")
    #expect(again.output.hasPrefix("probe \(id) of cluster main\n"))
    #expect(again.output.contains("/main/history/\(id).json\n"))
    let table = try #require(outcome.output.split(separator: "\n").first { $0.hasPrefix("UPPER") })
    #expect(again.output.contains(table))
    // Nothing could be frozen here.
    #expect(try repository("show", id, "--fill").output.contains("nothing was snapshotted"))
    let page = damaged.repository + "/page.html"
    let drawn = try repository("show", id, "--report", page)
    #expect(drawn.status == 0 && drawn.output.hasSuffix("report: \(page)\n"), "\(drawn.talk)")
    #expect(try String(contentsOfFile: page, encoding: .utf8).contains("only upper bounds"))
    let words2 = try repository("show", id, "--fill", "--json")
    #expect(words2.status == 64)
  }

  @Test("The document of a probe that is shown again is the one that it was")
  func sameDocument() throws {
    let first = try document(runProbe("--json"))
    #expect(first["keptIn"] as? String == damaged.repository + "/main")
    let hours = try #require(first["quietHours"] as? [String: Any])
    #expect((hours["sentence"] as? String)?.contains("pgstill probe --duration 24h --repo") == true)
    let report = try #require(first["report"] as? NSDictionary)
    let id = try #require((report["plan"] as? [String: Any])?["id"] as? String)
    let again = try document(repository("show", id, "--json"))
    #expect(report == again["report"] as? NSDictionary)
    #expect(first["recommendation"] as? String == again["recommendation"] as? String)
    #expect((again["path"] as? String)?.hasSuffix("/main/history/\(id).json") == true)
  }

  @Test("A probe is no backup for any verb that looks for one")
  func noBackup() throws {
    let before = try repository("list")
    let verified = try repository("verify", "--all", "--json")
    #expect(try runProbe().status == 0)
    #expect(try repository("list").output == before.output)
    #expect(try repository("show", "latest").output.hasPrefix("backup \(damaged.id) "))
    let all = try repository("verify", "--all", "--json")
    #expect(all.status == 0, "\(all.talk)")
    func ids(_ outcome: Tool.Outcome) throws -> [String] {
      try (document(outcome)["backups"] as? [[String: Any]] ?? []).compactMap {
        $0["id"] as? String
      }
    }
    #expect(try ids(all) == ids(verified) && ids(all).count == 1)
    let status = try repository("status")
    #expect(status.output.contains(" ago, of 1\n"))
    #expect(!status.output.contains("DAMAGED"))
    let elsewhere = try TestFolder(on: .memory, owner: FakeHost.owner)
    let copied = try PgstillProgram.run([
      "copy", "latest", "--repo", damaged.repository, "--to", elsewhere.path.string,
    ])
    #expect(copied.status == 0, "\(copied.talk)")
    #expect(try OpenFolder.open(elsewhere.path).folder("main").names().contains("history") == false)
    let history = FilePath(damaged.repository).pushing("main/history").string
    #expect(try FileManager.default.contentsOfDirectory(atPath: history).count == 1)
    let backup = try site.host.backUp(
      site.host.request(FilePath(damaged.repository)), with: site.host.provider())
    #expect(backup.record.cluster == "main")
    #expect(try FileManager.default.contentsOfDirectory(atPath: history).count == 1)
  }

  @Test("A cluster that has no backup gets its folder, and a place that is not writable is refused")
  func newCluster() throws {
    let probed = try runProbe("--cluster", "other")
    #expect(probed.status == 0, "\(probed.talk)")
    #expect(probed.output.contains(" in \(damaged.repository)/other\n"))
    #expect(try repository("list", "--cluster", "other").output == "")
    #expect(
      try repository("status", "--cluster", "other").output.contains("cluster other: no backup"))
    // Nobody has to say now which cluster is meant, and no monitor waits for a backup of it.
    #expect(try repository("show", "latest").output.hasPrefix("backup \(damaged.id) "))
    let monitor = try repository("status", "--max-age", "100000h")
    #expect(monitor.status == 0, "\(monitor.output)")
    #expect(!monitor.output.contains("other:") && !monitor.output.contains("'other "))
    try FileManager.default.removeItem(atPath: damaged.repository + "/other")
    let dry = try runProbe("--cluster", "other", "--dry-run")
    #expect(dry.output.contains("what is seen is kept in \(damaged.repository)/other\n"))
    #expect(!FileManager.default.fileExists(atPath: damaged.repository + "/other"))
    try Tool.demand("chown", "-R", "root", damaged.repository)
    defer { try? TestFolder.give(damaged.place.path, to: FakeHost.owner) }
    let refusal = try refused(
      [
        "probe", "--pgdata", site.dataDirectory, "--repo", damaged.repository, "--cluster", "main",
        "--duration", "1h", "--progress", "none",
      ], 11)
    #expect(refusal.message.contains("is not writable for"))
  }

  @Test(
    "A backup's looks are drawn as wide as there is room, in ASCII where the locale has no more")
  func drawn() throws {
    func picture(_ environment: [String: String]) throws -> [String] {
      let outcome = try PgstillProgram.run(
        ["show", "latest", "--fill", "--repo", damaged.repository], environment: environment)
      #expect(outcome.status == 0, "\(outcome.talk)")
      return outcome.output.split(separator: "\n").map(String.init)
    }
    let fine = try picture([:])
    #expect(fine.first?.hasPrefix("backup \(damaged.id) of cluster main, frozen at ") == true)
    #expect(
      fine.filter { $0.hasPrefix("vg0/data: ") || $0.hasPrefix("vg1/other-one: ") }.count == 2)
    let axes = fine.filter { $0.contains("└") }
    #expect(axes.map(\.count) == [80, 80])
    let plain = try picture(["LC_ALL": "C", "COLUMNS": "60"])
    #expect(plain.joined().utf8.allSatisfy { $0 < 128 })
    #expect(plain.filter { $0.contains("0 ++--") }.map(\.count) == [60, 60])
    // The first that says anything counts.
    for locale in [
      ["LC_ALL": "", "LC_CTYPE": "de_DE.utf8@euro", "LANG": "C"],
      ["LC_ALL": "C.UTF-8", "LANG": "C"],
    ] {
      #expect(try picture(locale).contains { $0.contains("└") }, "\(locale)")
    }
    for locale in [
      ["LC_ALL": "", "LANG": ""], ["LC_ALL": "POSIX", "LANG": "C.UTF-8"],
      ["LC_ALL": "", "LANG": "de_DE.ISO-8859-1"],
    ] {
      #expect(try !picture(locale).contains { $0.contains("└") }, "\(locale)")
    }
  }

  @Test("A backup says where the size of its snapshots was from")
  func sizeReason() throws {
    let outcome = try repository("show", "latest")
    #expect(outcome.output.contains("  size from\n"))
    #expect(
      outcome.output.contains("20% of the origin, until 3 backups have left their fill history\n"))
    let backup = try document(repository("show", "latest", "--json"))["backup"] as? [String: Any]
    let freeze = try #require(backup?["freeze"] as? [String: Any])
    let volumes = try #require(freeze["volumes"] as? [[String: Any]])
    #expect(volumes.allSatisfy { ($0["sizeReason"] as? String)?.hasPrefix("20% of") == true })
  }
}
