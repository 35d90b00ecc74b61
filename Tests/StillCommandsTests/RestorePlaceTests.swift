import Foundation
import StillArchive
import StillModel
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

/// Where `restore` puts things, and when a server may start on them.
@Suite struct RestorePlaceTests {
  private let site: OnlineSite
  private let place: TestFolder
  private var target: FilePath { place.path.appending("data") }
  private var control: String { target.pushing("global/pg_control").string }

  init() throws {
    site = try OnlineSite()
    place = try TestFolder(on: .disk, owner: FakeHost.owner)
  }

  private func backUp(_ more: [String] = []) throws -> Tool.Outcome {
    try PgstillProgram.run(site.words(more), environment: site.environment())
  }

  private func words(_ more: [String]) -> [String] {
    ["restore", "latest", "--repo", site.repository, "--target", target.string] + more
  }

  private var moved: [String] {
    ["--tablespace-mapping", "\(site.tablespace)=\(place.path)/space"]
  }

  @Test("Places that cannot be had together are refused, and nothing is made")
  func together() throws {
    let second = try site.cluster.makeTablespace("second")
    try #require(backUp().status == 0)
    func map(_ old: FilePath, _ new: String) -> [String] {
      ["--tablespace-mapping", "\(old)=\(new)"]
    }
    let one = "\(place.path)/one"
    try Tool.demand("ln", "-s", place.path.string, "\(place.path)/link")
    let elsewhere = map(site.tablespace, one) + map(second, "\(place.path)/two")
    let cases: [([String], String)] = [
      (map(site.tablespace, one) + map(second, one), "would both be in \(one)"),
      (
        map(site.tablespace, one) + map(second, "\(place.path)/link/one"),
        "would both be in \(place.path)/link/one"
      ),
      (elsewhere + map(second, one), "is given twice"),
      (map(site.tablespace, target.string) + map(second, one), "would both be in \(target)"),
      (map(site.tablespace, "\(target)/pg_wal") + map(second, one), "in the data directory"),
      (elsewhere + ["--wal-dir", one], "would both be in \(one)"),
      (elsewhere + ["--wal-dir", "\(target)/pg_wal"], "WAL would be in the data directory"),
    ]
    for (more, text) in cases {
      for end in [[], ["--dry-run"]] {
        let refusal = try refused(words(more + end), 64)
        #expect(refusal.message.contains(text), "\(refusal.message)")
        #expect(refusal.hint != nil)
      }
    }
    #expect(try OpenFolder.open(place.path).names() == ["link"])
    let outcome = try PgstillProgram.run(words(elsewhere))
    #expect(outcome.status == 0, "\(outcome.talk)")
  }

  @Test("Nothing is restored into the repository")
  func inRepository() throws {
    try #require(backUp().status == 0)
    let inside = "\(site.repository)/other"
    let inner = ["--tablespace-mapping", "\(site.tablespace)=\(inside)"]
    for more in [["--target", inside] + moved, inner, moved + ["--wal-dir", inside]] {
      let refusal = try refused(words([]).dropLast(more.first == "--target" ? 2 : 0) + more, 11)
      #expect(refusal.message.hasPrefix("\(inside) lies inside the repository"))
    }
    #expect(try OpenFolder.open(FilePath(site.repository)).names() == ["main"])
  }

  @Test("Configuration that is there is found first, by every kind of restore")
  func configuration() throws {
    let etc = try site.place.folder("etc", owner: FakeHost.owner)
    let file = etc.appending("pg_hba.conf")
    try Tool.demand("mv", "\(site.cluster.dataDirectory)/pg_hba.conf", file.string)
    try site.cluster.append(["hba_file": "'\(file)'"])
    try site.cluster.stop()
    try site.cluster.start()
    try #require(backUp().status == 0)
    let conf = try place.folder("conf", owner: FakeHost.owner)
    let copy = conf.appending(file.components)
    let there = moved + ["--config-dir", conf.string]
    try Tool.demand("install", "-D", "/etc/passwd", copy.string)
    for more in [there, there + ["--dry-run"]] {
      #expect(try refused(words(more), 11).message == "\(copy) is there already")
    }
    #expect(!FileManager.default.fileExists(atPath: target.string))
    unlink(copy.string)
    // Nor is one begun that could not make it: the folder is root's.
    let hidden = try refused(words(there), 11)
    #expect(hidden.message.hasPrefix("\(copy) cannot be made: "))
    #expect(!FileManager.default.fileExists(atPath: target.string))
    try TestFolder.give(conf, to: FakeHost.owner)

    // One that cannot be made comes before the control file has its name.
    let backup = try site.published()
    let name = try #require(
      try backup.record().archives.first { $0.name.hasPrefix("config.tar") }
    ).name
    let archive = backup.path.appending(name).string
    try Tool.demand("cp", "-p", archive, "\(place.path)/whole")
    try Tool.demand("truncate", "-s", "-20", archive)
    #expect(try refused(words(there), 14, again: false).message.contains(name))
    #expect(!FileManager.default.fileExists(atPath: control))
    try Tool.demand("cp", "-p", "\(place.path)/whole", archive)
    try Tool.demand(
      "rm", "-r", target.string, "\(place.path)/space", conf.appending("tmp").string)

    for expected: Int32 in [0, 11] {
      let outcome = try PgstillProgram.run(words(there + ["--force-delta"]))
      #expect(outcome.status == expected, "\(outcome.talk)")
      #expect(FileManager.default.fileExists(atPath: control))
    }
    #expect(try Tool.demand("cat", copy.string) == (try Tool.demand("cat", file.string)))
  }

  @Test("Folders that cannot be had are found before anything is made")
  func notMakeable() throws {
    try #require(backUp().status == 0)
    let roots = try place.folder("roots")
    for more in [
      ["--tablespace-mapping", "\(site.tablespace)=\(roots)"], moved + ["--wal-dir", roots.string],
      moved + ["--wal-dir", "\(roots)/wal"], moved + ["--wal-dir", "/no/such/wal"],
    ] {
      let refusal = try refused(words(more), 11)
      #expect(refusal.hint?.contains(FakeHost.owner) == true)
    }
    #expect(try OpenFolder.open(place.path).names() == ["roots"])
  }

  @Test("One restore at a time, and no failing one takes another cluster's control file away")
  func others() throws {
    try #require(backUp().status == 0)
    let held = try HeldProgram(words(moved), at: "unpack.begin", in: place)
    #expect(
      try refused(words(moved), 10).message == "another restore is at work in \(target)")
    try Tool.demand("rm", "-rf", target.string)
    try site.cluster.run("initdb", ["-D", target.string, "--no-sync"])
    let before = try Tool.demand("sha256sum", control)
    let (status, talk) = try held.goOn()
    #expect(status == 14, "\(talk)")
    #expect(try Tool.demand("sha256sum", control) == before)
  }

  @Test("A backup that lacks something ends a restore with 3, and what it is is said")
  func missing() throws {
    let link = "\(site.cluster.dataDirectory)/server.key"
    try Tool.demand("ln", "-s", "/etc/ssl/private/key", link)
    try Tool.demand("chown", "-h", "\(FakeHost.owner):", link)
    try #require(backUp().status == 3)
    let outcome = try PgstillProgram.run(words(moved + ["--json"]))
    #expect(outcome.status == 3, "\(outcome.talk)")
    let found = try document(outcome)
    #expect((found["missing"] as? [String])?.count == 1)
    #expect(found["notes"] as? [String] == [])
    let text = try PgstillProgram.run(words(moved + ["--force-delta"]))
    #expect(text.status == 3, "\(text.talk)")
    #expect(text.output.contains("not in the backup: server.key is a link"))
    #expect(FileManager.default.fileExists(atPath: control))
  }

  @Test("Without checksums in the manifest a changed byte is found all the same")
  func unlisted() throws {
    try #require(backUp(["--compress", "none", "--manifest-checksums", "none"]).status == 0)
    let archive = try site.published().path.appending("base.tar").string
    let list = try Tool.demand("tar", "-tvRf", archive)
    let line = try #require(list.split(separator: "\n").first { $0.contains("base/5/1255") })
    let block = try #require(line.split(separator: " ").dropFirst().first)
    let number = try #require(Int(block.dropLast()))
    // Some bytes into the content, which begins behind the header.
    try Tool.demand(
      "/bin/sh", "-ec", "printf X | dd of=\"$1\" bs=1 seek=$2 conv=notrunc", "sh", archive,
      "\(number * 512 + 512 + 5000)")
    let refusal = try refused(words(moved), 14, again: false)
    #expect(refusal.message.contains("base.tar was changed"))
    #expect(!FileManager.default.fileExists(atPath: control))
  }
}
