import Foundation
import StillModel
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

/// The folder of one cluster in the repository.
@Suite struct ClusterFolderTests {
  @Test("Another cluster's backups do not go into it, whatever it is called")
  func otherCluster() throws {
    let (one, other) = (try OnlineSite(), try OnlineSite())
    try #require(one.backUp().status == 0)
    var words = other.words()
    words[words.firstIndex(of: other.repository) ?? 0] = one.repository
    for verb in ["check", "backup"] {
      words[0] = verb
      let outcome = try PgstillProgram.run(
        words + ["--json", "--progress", "none"], environment: other.environment())
      #expect(outcome.status == 11, "\(outcome.output)\(outcome.talk)")
      let systems = try [one, other].map {
        try $0.cluster.sql("SELECT system_identifier FROM pg_control_system()")
      }
      #expect(systems.allSatisfy { outcome.output.contains($0) }, "\(outcome.output)")
      #expect(outcome.output.contains("--cluster"))
      #expect(outcome.output.contains("initdb"))
    }
    let names = try OpenFolder.open(FilePath(one.repository)).folder("main").names()
    #expect(Set(names.map(\.string)) == [".lock", "latest", try one.published().id.description])
    words[words.firstIndex(of: "main") ?? 0] = "other"
    #expect(try PgstillProgram.run(words, environment: other.environment()).status == 0)
    // Its own it takes on.
    #expect(try one.backUp().status == 0)
  }

  @Test("What fails after a backup has its name does not call it unpublished")
  func afterwards() throws {
    let site = try OnlineSite()
    try Tool.demand("mkdir", "-p", "\(site.repository)/main/latest")
    try TestFolder.give(FilePath(site.repository), to: FakeHost.owner)
    let outcome = try site.backUp()
    #expect(outcome.status == 0, "\(outcome.output)")
    #expect(outcome.talk.contains("latest"), "\(outcome.talk)")
    let words = ["verify", "latest", "--repo", site.repository]
    #expect(try PgstillProgram.run(words).status == 0)
  }

  @Test("A backup that cannot be published says why, and not that a session was lost")
  func unpublished() throws {
    let site = try OnlineSite()
    let folder = site.repository + "/main"
    let marks = site.place.path.appending("marks").string
    try Tool.demand("install", "-m", "666", "/dev/null", marks)
    let thread = try WorkerThread {
      while (try? String(contentsOfFile: marks, encoding: .utf8).contains(" record")) != true {
        Clock.sleep(milliseconds: 10)
      }
      _ = try? Tool.demand("chmod", "500", folder)
    }
    let outcome = try site.backUp([
      "PGSTILL_TEST_MARKS": marks, "PGSTILL_TEST_PAUSE_AT": "record",
      "PGSTILL_TEST_PAUSE_MS": "3000",
    ])
    thread.join()
    try Tool.demand("chmod", "700", folder)
    #expect(outcome.status == 14, "\(outcome.output)")
    #expect(outcome.output.contains("cannot rename"), "\(outcome.output)")
    let names = try OpenFolder.open(FilePath(folder)).names().map(\.string)
    #expect(names.allSatisfy { $0.hasPrefix(".") })
  }
}
