import Foundation
import StillModel
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

/// `probe --report` and `show --report`: a page on the disk, all of it or none.
@Suite struct PageTests {
  private let site: Site
  private let place: TestFolder

  init() throws {
    site = try Site.shared.get()
    place = try TestFolder(on: .memory, owner: FakeHost.owner)
  }

  private var file: FilePath { place.path.appending("page.html") }

  private func probe(_ more: String...) -> [String] {
    [
      "probe", "--pgdata", site.dataDirectory, "--progress", "none", "--interval", "0.2",
      "--copy-time", "10m",
    ] + more
  }

  private func show(_ more: String...) throws -> [String] {
    ["show", try site.id(), "--repo", site.repository.string] + more
  }

  private func text(_ path: FilePath) throws -> String {
    try String(contentsOfFile: path.string, encoding: .utf8)
  }

  private var names: [String] {
    get throws { try FileManager.default.contentsOfDirectory(atPath: place.path.string).sorted() }
  }

  @Test("The page of a probe says what the text says, and the text says where it is")
  func probes() throws {
    let outcome = try PgstillProgram.run(probe("--duration", "2s", "--report", file.string))
    #expect(outcome.status == 0, "\(outcome.talk)")
    #expect(outcome.output.hasSuffix("\nreport: \(file)\n"))
    let page = try text(file)
    #expect(page.hasPrefix("<!DOCTYPE html>") && page.hasSuffix("</html>\n"))
    #expect(page.contains("<h1>No volume could be snapshotted: there are only upper bounds</h1>"))
    #expect(page.contains(site.dataDirectory))
    #expect(try names == ["page.html"], "and nothing else")
    // Whose files those of the cluster are, so is it; everybody may read it.
    let metadata = try #require(try FileMetadata.ifPresent(at: file))
    #expect(metadata.mode == 0o644)
    #expect(metadata.owner == (try FileMetadata.ifPresent(at: place.path))?.owner)
  }

  @Test("The document names it, an earlier one is replaced, and a dry run writes none")
  func again() throws {
    try "an earlier one".write(toFile: file.string, atomically: false, encoding: .utf8)
    try TestFolder.give(place.path, to: FakeHost.owner)
    let dry = try PgstillProgram.run(probe("--dry-run", "--report", file.string))
    #expect(dry.status == 0, "\(dry.talk)")
    #expect(try text(file) == "an earlier one")
    let outcome = try PgstillProgram.run(
      probe("--duration", "1s", "--report", file.string, "--json"))
    #expect(outcome.status == 0, "\(outcome.talk)")
    #expect(try document(outcome)["reportFile"] as? String == file.string)
    #expect(try text(file).hasPrefix("<!DOCTYPE html>"))
    let without = try PgstillProgram.run(probe("--duration", "1s", "--json"))
    #expect(try document(without)["reportFile"] == nil)
    #expect(try names == ["page.html"])
  }

  @Test(
    "Where it cannot be written is said before the probe begins",
    .enabled(if: Account.effectiveUser == 0, "only root has folders that others may not write to"),
    arguments: [
      "/nowhere/page.html", "/", "/dev/null", "FOLDER", "FOLDER/../..", "ROOTS/page.html",
      "STICKY/page.html",
    ])
  func refused(_ path: String) throws {
    let roots = try TestFolder(on: .memory)
    let sticky = try TestFolder(on: .memory)
    try Tool.demand("chmod", "1777", sticky.path.string)
    try Tool.demand("touch", sticky.path.appending("page.html").string)
    let path = path.replacing("FOLDER", with: place.path.string)
      .replacing("ROOTS", with: roots.path.string).replacing("STICKY", with: sticky.path.string)
    for words in [probe("--duration", "1h", "--report", path), try show("--report", path)] {
      let outcome = try PgstillProgram.run(words + ["--json"], prefix: ["timeout", "60"])
      #expect(outcome.status == 11, "\(outcome.talk)")
      let error = try #require(try document(outcome)["error"] as? [String: Any])
      let message = try #require(error["message"] as? String)
      #expect(message.hasPrefix("the report \(path) cannot be written: "), "\(message)")
      #expect(
        error["hint"] as? String
          == "Name a file in a folder that user \(FakeHost.owner), who writes it, may write to.")
    }
    #expect(try names.isEmpty)
    #expect(try text(sticky.path.appending("page.html")) == "")
  }

  @Test("The page of a backup has its pictures, and a browser has no complaint")
  func shows() throws {
    let outcome = try PgstillProgram.run(show("--report", file.string))
    #expect(outcome.status == 0, "\(outcome.talk)")
    #expect(outcome.output.hasPrefix("backup \(try site.id()) of cluster main\n"))
    #expect(outcome.output.hasSuffix("\nreport: \(file)\n"))
    let page = try text(file)
    #expect(page.contains("frozen at one instant"))
    for heading in ["What took how long", "The freeze window", "How the snapshots filled"] {
      #expect(page.contains("<h2>\(heading)</h2>"), "\(heading)")
    }
    #expect(page.contains("id=\"window-wide\"") && page.contains("id=\"phases-narrow\""))
    let json = try document(PgstillProgram.run(show("--report", file.string, "--json")))
    #expect(json["reportFile"] as? String == file.string)
    #expect(try names == ["page.html"])
  }

  @Test(
    "A browser has no complaint of real pages",
    .enabled(if: Browser.program != nil, "there is no Chromium here; scripts/setup installs it"))
  func complaints() throws {
    for words in [
      try show("--report", file.string), probe("--duration", "1s", "--report", file.string),
    ] {
      let outcome = try PgstillProgram.run(words)
      #expect(outcome.status == 0, "\(outcome.talk)")
      #expect(try Browser().complaints(of: text(file)) == [])
    }
  }

  @Test(
    "A page that cannot be written to its end leaves the earlier one, and the figures are told all the same"
  )
  func full() throws {
    try "an earlier one".write(toFile: file.string, atomically: false, encoding: .utf8)
    try TestFolder.give(place.path, to: FakeHost.owner)
    // No file grows beyond 4 KiB.
    let limit = ["sh", "-c", "trap '' XFSZ; ulimit -f 8; exec \"$@\"", "sh"]
    for (words, hasText) in [
      (probe("--duration", "1s", "--report", file.string), true),
      (try show("--report", file.string), false),
    ] {
      let outcome = try PgstillProgram.run(words, prefix: limit)
      #expect(outcome.status == 14, "\(outcome.talk)")
      #expect(outcome.talk.contains("the report \(file) was not written: "), "\(outcome.talk)")
      #expect(outcome.output.contains("only upper bounds") == hasText)
      #expect(!outcome.output.contains("report: "))
      #expect(try text(file) == "an earlier one")
      #expect(try names == ["page.html"])
    }
  }

  @Test("A signal ends a probe early, and its page says so")
  func signal() throws {
    let marks = place.path.appending("marks").string
    try Tool.demand("install", "-m", "666", "/dev/null", marks)
    let child = try Child.start(
      PgstillProgram.path(), probe("--duration", "1h", "--report", file.string),
      environment: ["PATH": "/usr/bin:/bin", "PGSTILL_TEST_MARKS": marks],
      input: .open("/dev/null"), output: .inMemory(), errors: .inMemory())
    while try !String(contentsOfFile: marks, encoding: .utf8).contains(" watching\n") {
      if let status = child.statusIfEnded() { throw Trouble("it ended with \(status)") }
      usleep(10_000)
    }
    kill(child.process, SIGINT)
    #expect(child.wait() == 0)
    #expect(try text(file).contains("The probe ended early, after "))
  }
}
