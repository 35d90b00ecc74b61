import Foundation
import StillModel
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

/// Folders of the server's own that were moved, with a link in their place.
@Suite struct LinkedFolderTests {
  /// Moves something of the stopped server's out of its data directory, and puts a link there.
  private func move(_ path: String, of site: OnlineSite, to name: String) throws -> FilePath {
    let place = site.cluster.folder.appending(name)
    let old = site.cluster.dataDirectory.pushing(FilePath(path))
    try site.cluster.stop()
    try Tool.demand("mv", old.string, place.string)
    try Tool.demand("ln", "-s", place.string, old.string)
    try site.cluster.start()
    return place
  }

  @Test("A cluster with a link in the place of its own folders is not backed up, and not stopped")
  func refused() throws {
    let site = try OnlineSite()
    let database = try site.cluster.sql("SELECT oid FROM pg_database WHERE datname = 'postgres'")
    let moved = [
      "pg_xact", "base/\(database)", "base", "pg_multixact/members", "global", "pg_stat",
    ]
    for (index, path) in moved.enumerated() {
      let place = try move(path, of: site, to: "moved-\(index)")
      let refusal = try StillCommandsTests.refused(
        site.words() + ["--progress", "none"], 11, environment: site.environment(), again: false)
      let shown = site.cluster.dataDirectory.pushing(FilePath(path))
      #expect(refusal.message.hasPrefix("\(shown) is a link"))
      #expect(refusal.hint?.contains("mount --bind") == true)
      #expect(!FileManager.default.fileExists(atPath: site.repository + "/main"))
      try site.cluster.stop()
      try Tool.demand("rm", shown.string)
      try Tool.demand("mv", place.string, shown.string)
      try site.cluster.start()
    }
    let check = try PgstillProgram.run(
      ["check"] + site.words().dropFirst() + ["--json"], environment: site.environment())
    #expect(check.status == 0, "\(check.output)")
  }

  @Test(
    "Nor is one with a link of another name among those to its tablespaces",
    arguments: [
      "16384.old", "016384", "old",
    ])
  func beside(_ name: String) throws {
    let site = try OnlineSite()
    let links = site.cluster.dataDirectory.appending("pg_tblspc")
    try Tool.demand("ln", "-s", site.tablespace.string, "\(links)/\(name)")
    let refusal = try StillCommandsTests.refused(
      site.words() + ["--progress", "none"], 11, environment: site.environment(), again: false)
    #expect(refusal.message.hasPrefix("\(links)/\(name) is a link"))
  }

  @Test(
    "A link in the place of one table's file is found by the copy",
    arguments: [
      "here", "there",
    ])
  func file(_ table: String) throws {
    let site = try OnlineSite()
    let path = try site.cluster.sql("SELECT pg_relation_filepath('\(table)')")
    let file = try site.cluster.dataDirectory.pushing(FilePath(path)).resolved()
    try site.cluster.stop()
    try Tool.demand("mv", file.string, "\(site.cluster.folder)/moved")
    try Tool.demand("ln", "-s", "\(site.cluster.folder)/moved", file.string)
    try site.cluster.start()
    #expect(try site.cluster.sql("SELECT count(*) FROM \(table)") != "")
    let refusal = try StillCommandsTests.refused(
      site.words() + ["--progress", "none"], 11, environment: site.environment(), again: false)
    #expect(refusal.message.hasPrefix("\(file) is a link"))
    try site.expectNothingLeft()
  }

  @Test("A proof starts no server that a link leads into the files of another")
  func proof() throws {
    let site = try OnlineSite()
    let key = site.cluster.folder.appending("key")
    try Tool.demand("touch", key.string)
    let own = site.cluster.dataDirectory.appending("pg_own")
    try Tool.demand("sh", "-ec", "mkdir \(own); echo mine >\(own)/file")
    let place = try move("pg_own", of: site, to: "moved")
    for (name, target) in [("server.key", key), ("log", place)] {
      try Tool.demand("ln", "-s", target.string, "\(site.cluster.dataDirectory)/\(name)")
    }
    try #require(site.backUp().status == 3)
    // What lies there belongs to the server that was backed up.
    try site.cluster.stop()
    let before = try Tool.demand("sh", "-c", "cd \(place) && sha256sum *")
    let refusal = try StillCommandsTests.refused(
      ["verify", "latest", "--repo", site.repository, "--start", "--progress", "none"], 11,
      again: false)
    #expect(refusal.message.contains("pg_own"))
    #expect(refusal.message.contains(place.string))
    #expect(try Tool.demand("sh", "-c", "cd \(place) && sha256sum *") == before)
    #expect(try site.published().record().proof == nil)

    // Others lead to what a server only reads, if at all.
    try Tool.demand("rm", own.string)
    try Tool.demand("mv", place.string, own.string)
    try Tool.demand("mkdir", place.string)
    try site.cluster.start()
    try #require(site.backUp().status == 3)
    let good = try PgstillProgram.run(
      ["verify", "latest", "--repo", site.repository, "--start", "--json", "--progress", "none"])
    #expect(good.status == 0, "\(good.output)")
    #expect(try OpenFolder.open(place).names() == [])
  }
}
