import Foundation
import StillArchive
import StillEngine
import StillModel
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

/// `list`, `show`, `verify` and `restore` by the program, started as root.
@Suite struct RepositoryTests {
  private let site: Site
  private let place: TestFolder
  private var repository: String { site.repository.string }

  init() throws {
    site = try Site.shared.get()
    place = try TestFolder(on: .memory, owner: FakeHost.owner)
  }

  private func run(_ words: String...) throws -> Tool.Outcome {
    try PgstillProgram.run(words + ["--repo", repository])
  }

  // MARK: What is good

  @Test("A list has every backup, oldest first")
  func list() throws {
    let outcome = try run("list")
    #expect(outcome.status == 0)
    #expect(outcome.talk == "")
    let rows = outcome.output.split(separator: "\n").dropFirst().map { $0.split(separator: " ")[1] }
    #expect(rows.map(String.init).sorted() == rows.map(String.init))
    let ids = try Site.compressions.map { try site.id($0) }
    #expect(Set(rows.map(String.init)) == Set(ids))
    let found = try document(run("list", "--json"))["backups"] as? [[String: Any]]
    #expect(found?.compactMap { $0["id"] as? String } == ids.sorted())
    #expect(found?.allSatisfy { $0["cluster"] as? String == "main" } == true)
  }

  @Test("A list of an empty repository is empty, and one JSON document")
  func emptyList() throws {
    let empty = try place.folder("empty", owner: FakeHost.owner)
    let outcome = try PgstillProgram.run(["list", "--repo", empty.string])
    #expect(outcome.status == 0 && outcome.output == "")
    let found = try document(PgstillProgram.run(["list", "--json", "--repo", empty.string]))
    #expect((found["backups"] as? [Any])?.count == 0)
  }

  @Test("A list says which backup's record is damaged, and lists the others")
  func damagedList() throws {
    let damaged = try Damaged(site)
    try damaged.cut("backup.json", to: 0.5)
    let words = ["list", "--repo", damaged.repository]
    #expect(try PgstillProgram.run(words).output.contains("damaged: "))
    let found = try document(PgstillProgram.run(words + ["--json"]))["backups"] as? [[String: Any]]
    #expect((found?.first?["damage"] as? String)?.contains("backup.json") == true)
  }

  @Test("A backup is shown by its id and as the latest one")
  func show() throws {
    let id = try site.id()
    let outcome = try run("show", id)
    #expect(outcome.status == 0)
    #expect(outcome.output.hasPrefix("backup \(id) of cluster main\n"))
    #expect(outcome.output.contains("base.tar.zst"))
    #expect(outcome.output.contains(site.host.tablespace.string))
    let found = try document(run("show", id, "--json"))
    #expect(found["path"] as? String == "\(repository)/main/\(id)")
    let record = try #require(found["backup"] as? [String: Any])
    #expect(record["id"] as? String == id)
    let latest = try document(run("show", "latest", "--json"))["backup"] as? [String: Any]
    #expect(latest?["id"] as? String == (try Site.compressions.map { try site.id($0) }.max()))
  }

  @Test("Every backup verifies")
  func verifyAll() throws {
    let outcome = try run("verify", "--all", "--progress", "none")
    #expect(outcome.status == 0)
    #expect(outcome.talk == "")
    let lines = outcome.output.split(separator: "\n")
    #expect(lines.count == 3 && lines.allSatisfy { $0.hasPrefix("good  ") })
    let found = try document(run("verify", "--all", "--json"))["backups"] as? [[String: Any]]
    #expect(found?.count == 3)
    #expect(found?.allSatisfy { ($0["problems"] as? [Any])?.isEmpty == true } == true)
  }

  @Test("Quiet means quiet")
  func quiet() throws {
    let outcome = try run("verify", "latest", "--quiet")
    #expect(outcome.status == 0 && outcome.talk == "")
    #expect(try run("verify", "latest").talk.contains("verify: "))
  }

  @Test("A dry run of a restore prints where everything would go, and changes nothing")
  func dryRun() throws {
    let target = place.path.appending("data").string
    let words = [
      "restore", "latest", "--target", target, "--wal-dir", "\(place.path)/wal",
      "--tablespace-mapping", "\(site.host.tablespace)=\(place.path)/space", "--dry-run", "--repo",
      repository,
    ]
    let outcome = try PgstillProgram.run(words)
    #expect(outcome.status == 0)
    for word in [target, "\(place.path)/wal", "\(place.path)/space"] {
      #expect(outcome.output.contains(word))
    }
    let plan = try document(PgstillProgram.run(words + ["--json"]))
    #expect(plan["target"] as? String == target)
    #expect(plan["walFolder"] as? String == "\(place.path)/wal")
    #expect(try OpenFolder.open(place.path).names() == [])
  }

  @Test("Started as root, it restores as the repository's owner, and the server starts")
  func restores() throws {
    let target = place.path.appending("data")
    let outcome = try PgstillProgram.run([
      "restore", try site.id(), "--repo", repository, "--target", target.string,
      "--tablespace-mapping", "\(site.host.tablespace)=\(place.path)/space", "--json",
    ])
    #expect(outcome.status == 0, "\(outcome.talk)")
    #expect(try document(outcome)["files"] as? Int == site.result().record.files)
    let owner = try OpenFolder.open(site.host.cluster.dataDirectory).metadata().owner
    for folder in [target, target.appending("pg_wal"), place.path.appending("space")] {
      let metadata = try OpenFolder.open(folder).metadata()
      #expect(metadata.owner == owner)
      #expect(metadata.mode == 0o700)
    }
    let server = try RestoredServer(target, like: site.host.cluster)
    #expect(try server.sql("SELECT sum(n) FROM there") == "2001000")
  }

  // MARK: What is not there

  @Test(
    "A repository that is not there",
    arguments: [["list"], ["show", "latest"], ["verify", "--all"]])
  func noRepository(_ words: [String]) throws {
    let refusal = try refused(words + ["--repo", "/no/such/repo"], 11)
    #expect(refusal.message.contains("/no/such/repo"))
    #expect(refusal.hint?.contains("--repo") == true)
  }

  @Test("A repository without backups", arguments: [["show", "latest"], ["verify", "--all"]])
  func nothingThere(_ words: [String]) throws {
    let empty = try place.folder("empty", owner: FakeHost.owner)
    let refusal = try refused(words + ["--repo", empty.string], 11)
    #expect(refusal.message == "the repository \(empty) has no backups yet")
    #expect(refusal.hint?.contains("pgstill backup") == true)
  }

  @Test("A cluster that has no backups there")
  func noCluster() throws {
    for verb in [["list"], ["show", "latest"]] {
      let refusal = try refused(verb + ["--repo", repository, "--cluster", "other"], 11)
      #expect(refusal.message == "the repository \(repository) has no cluster \"other\"")
      #expect(refusal.hint == "Name one with --cluster: main")
    }
  }

  @Test(
    "A backup that is not there",
    arguments: ["20200101T000000Z-000000", "yesterday", "../main", "", ".partial-x"])
  func noBackup(_ id: String) throws {
    for verb in ["show", "verify"] {
      let refusal = try refused([verb, id, "--repo", repository], 11)
      #expect(refusal.message == "cluster main has no backup \"\(id)\"")
      #expect(refusal.hint?.contains("the latest is") == true)
    }
    let target = place.path.appending("t").string
    let refusal = try refused(["restore", id, "--repo", repository, "--target", target], 11)
    #expect(refusal.message.contains("has no backup"))
    #expect(!FileManager.default.fileExists(atPath: target))
  }

  @Test("A repository of root, where root would be given up for nobody")
  func ofRoot() throws {
    let folder = try place.folder("roots")
    let refusal = try refused(["list", "--repo", folder.string], 11)
    #expect(refusal.message == "the repository \(folder) belongs to root")
    #expect(refusal.hint?.contains("is this the folder that was meant") == true)
  }

  // MARK: Targets

  private func restore(_ more: String...) -> [String] {
    ["restore", "latest", "--repo", repository] + more
  }

  @Test("A target that is not empty")
  func fullTarget() throws {
    let target = try place.folder("full", owner: FakeHost.owner)
    try Tool.demand("cp", "/etc/passwd", "\(target)/passwd")
    let mapping = "\(site.host.tablespace)=\(place.path)/space"
    for more in [[], ["--dry-run"]] {
      let refusal = try refused(
        restore("--target", target.string, "--tablespace-mapping", mapping) + more, 11)
      #expect(refusal.message == "the target \(target) is not empty: it holds passwd")
      #expect(refusal.hint?.contains("missing or empty") == true)
    }
    #expect(try OpenFolder.open(target).names() == ["passwd"])
    #expect(!FileManager.default.fileExists(atPath: "\(place.path)/space"))
  }

  @Test("A tablespace whose old place is not empty wants a mapping, and the hint spells it")
  func fullTablespace() throws {
    let refusal = try refused(restore("--target", "\(place.path)/data"), 11)
    #expect(refusal.message.contains("tablespace"))
    #expect(refusal.message.contains("\(site.host.tablespace), is not empty"))
    #expect(refusal.hint?.contains("--tablespace-mapping \(site.host.tablespace)=NEW") == true)
    #expect(try OpenFolder.open(place.path).names() == [])
  }

  @Test("A mapping of a tablespace that the backup does not have")
  func strangeMapping() throws {
    let refusal = try refused(
      restore("--target", "\(place.path)/data", "--tablespace-mapping", "/no/such=/x"), 64)
    #expect(refusal.message == "the backup has no tablespace at /no/such")
    #expect(refusal.hint?.contains(site.host.tablespace.string) == true)
  }

  @Test("A target that the repository's owner may not make")
  func forbiddenTarget() throws {
    let roots = try place.folder("roots")
    let refusal = try refused(
      restore(
        "--target", "\(roots)/data", "--tablespace-mapping",
        "\(site.host.tablespace)=\(place.path)/space"), 11, again: false)
    #expect(refusal.message.contains("\(roots)/data"))
    #expect(refusal.message.contains("Permission denied"))
    #expect(refusal.hint?.contains(FakeHost.owner) == true)
  }

  @Test("A target below a folder that is not there")
  func targetNowhere() throws {
    let refusal = try refused(
      restore(
        "--target", "/no/such/data", "--tablespace-mapping",
        "\(site.host.tablespace)=\(place.path)/space"), 11, again: false)
    #expect(refusal.message.contains("/no/such"))
    #expect(refusal.hint != nil)
  }
}
