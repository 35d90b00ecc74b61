import StillTestSupport
import Testing

/// Command lines that are wrong end with 64, and say which word is.
@Suite struct UsageTests {
  static let wrong: [(words: [String], message: String)] = [
    (["backup", "--repo", "/r", "--pgdata", "/d", "--frobnicate"], "--frobnicate"),
    (["backup", "--pgdata", "/d"], "--repo"),
    (["backup", "--repo", "/r"], "PGDATA"),
    (["backup", "--repo", "/r", "--pgdata", "/d", "--compress", "zip"], "zip"),
    (["backup", "--repo", "/r", "--pgdata", "/d", "--compress", "zstd:99"], "zstd:99"),
    (["backup", "--repo", "/r", "--pgdata", "/d", "--compress", "none:1"], "none:1"),
    (["backup", "--repo", "/r", "--pgdata", "/d", "--snapshot-size", "lots"], "lots"),
    (["backup", "--repo", "/r", "--pgdata", "/d", "--snapshot-size", "0"], "--snapshot-size"),
    (["backup", "--repo", "/r", "--pgdata", "/d", "--snapshot-size", "120%"], "120%"),
    (["backup", "--repo", "/r", "--pgdata", "/d", "--jobs", "0"], "--jobs"),
    (["backup", "--repo", "/r", "--pgdata", "/d", "--jobs", "many"], "many"),
    (["backup", "--repo", "/r", "--pgdata", "/d", "--freeze-deadline", "0"], "--freeze-deadline"),
    (["backup", "--repo", "/r", "--pgdata", "/d", "--no-snapshots"], "--consistency online"),
    (["check", "--repo", "/r", "--pgdata", "/d", "--progress", "loud"], "loud"),
    (["probe", "--pgdata", "/d", "--duration", "soon"], "soon"),
    (["probe", "--pgdata", "/d", "--duration", "0"], "--duration"),
    (["probe", "--pgdata", "/d", "--interval", "2m"], "--interval"),
    (["probe", "--pgdata", "/d", "--copy-time", "1d"], "1d"),
    (["probe", "--pgdata", "/d", "--safety", "0.5"], "--safety"),
    (["probe", "--pgdata", "/d", "--chunk", "4k,5k"], "4k,5k"),
    (["probe", "--pgdata", "/d", "--chunk", "4k,,8k"], "4k,,8k"),
    (["probe", "--pgdata", "/d", "--chunk", "2k"], "2k"),
    (["probe"], "PGDATA"),
    (["list"], "--repo"),
    (["show", "--repo", "/r"], "id"),
    (["verify", "--repo", "/r"], "--all"),
    (["verify", "latest", "--all", "--repo", "/r"], "--all"),
    (["restore", "latest", "--repo", "/r"], "--target"),
    (["restore", "latest", "--repo", "/r", "--target", "/t", "--tablespace-mapping", "a"], "a"),
    (
      ["restore", "latest", "--repo", "/r", "--target", "/t", "--tablespace-mapping", "a=/b"],
      "a=/b"
    ),
    (
      ["restore", "latest", "--repo", "/r", "--target", "/t", "--tablespace-mapping", "/a="], "/a="
    ),
    (
      ["restore", "latest", "--repo", "/r", "--target", "/t", "--tablespace-mapping", "/a=/b=/c"],
      "/a=/b=/c"
    ),
  ]

  @Test("The wrong word is named, in text and in JSON", arguments: wrong)
  func isNamed(_ words: [String], _ message: String) throws {
    let refusal = try refused(words, 64)
    #expect(refusal.message.contains(message))
  }

  @Test("A verb that there is not")
  func verb() throws {
    let spoken = try PgstillProgram.run(["dance"])
    #expect(spoken.status == 64 && spoken.output == "")
    #expect(spoken.talk.contains("'dance'"))
    let outcome = try PgstillProgram.run(["dance", "--json"])
    #expect(outcome.status == 64)
    let error = try document(outcome)["error"] as? [String: Any]
    #expect(error?["status"] as? Int == 64)
  }

  @Test("The usage of the verb follows on standard error")
  func usage() throws {
    let outcome = try PgstillProgram.run([
      "backup", "--repo", "/r", "--pgdata", "/d", "--frobnicate",
    ])
    #expect(outcome.talk.contains("Usage: pgstill backup"))
  }

  @Test("The repository belongs to a cluster, not to several, where none is named")
  func several() throws {
    let place = try TestFolder(on: .memory, owner: FakeHost.owner)
    for name in ["repo", "repo/one", "repo/two"] {
      _ = try place.folder(name, owner: FakeHost.owner)
    }
    let refusal = try refused(["show", "latest", "--repo", "\(place.path)/repo"], 64)
    #expect(refusal.message.contains("several clusters"))
    #expect(refusal.hint == "Name one with --cluster: one, two")
  }
}
