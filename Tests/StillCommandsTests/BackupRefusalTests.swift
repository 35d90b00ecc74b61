import Foundation
import Glibc
import StillModel
import StillPostgres
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

/// What `backup` and `check` refuse before they touch anything. This machine's volumes are no
/// logical ones, so a backup by the program itself ends at the latest there.
@Suite struct BackupRefusalTests {
  private let place: TestFolder
  private let repository: String

  init() throws {
    place = try TestFolder(on: .memory, owner: FakeHost.owner)
    repository = place.path.appending("repo").string
  }

  private func words(_ dataDirectory: String, verb: String = "backup") -> [String] {
    [verb, "--pgdata", dataDirectory, "--repo", repository, "--progress", "none"]
  }

  private func nothingIsMade() -> Bool { !FileManager.default.fileExists(atPath: repository) }

  @Test("A data directory that is not there")
  func missing() throws {
    let refusal = try refused(words("/no/such/data"), 11)
    #expect(refusal.message == "cannot open /no/such/data: No such file or directory")
    #expect(refusal.hint?.contains("PG_VERSION") == true)
  }

  @Test("A folder that is no data directory")
  func noDataDirectory() throws {
    let folder = try place.folder("empty", owner: FakeHost.owner).string
    let refusal = try refused(words(folder), 11)
    #expect(refusal.message == "\(folder) is not a data directory: it has no PG_VERSION")
    #expect(refusal.hint?.contains("SHOW data_directory") == true)
    #expect(nothingIsMade())
  }

  @Test("A file where the data directory should be")
  func aFile() throws {
    let refusal = try refused(words("/etc/passwd"), 11)
    #expect(refusal.message == "cannot open /etc/passwd: Not a directory")
    #expect(refusal.hint != nil)
  }

  @Test("Started as the owner, whom sudo does not allow the broker, it prints the line for sudoers")
  func noSudo() throws {
    let refusal = try refused(["release"], 11, as: FakeHost.owner)
    #expect(refusal.message.contains("the broker could not be started as root"))
    #expect(
      refusal.hint?.hasSuffix(
        "\(FakeHost.owner) ALL=(root) NOPASSWD: \(try PgstillProgram.path()) broker") == true)
  }

  @Test("A folder that belongs to root, started as root")
  func ofRoot() throws {
    let refusal = try refused(words("/etc"), 11)
    #expect(refusal.message == "the data directory /etc belongs to root")
    #expect(refusal.hint?.contains("owner") == true)
  }

  @Test("A cluster whose server is not running")
  func stopped() throws {
    let cluster = try ThrowAwayCluster(isStarted: false)
    let refusal = try refused(words(cluster.dataDirectory.string), 11)
    #expect(refusal.message == "no server is running on \(cluster.dataDirectory)")
    #expect(refusal.hint?.contains("pg_ctl start") == true)
    #expect(nothingIsMade())
  }

  @Test("A role that the server does not know")
  func unknownRole() throws {
    let site = try Site.shared.get()
    let refusal = try refused(words(site.dataDirectory), 12, environment: ["PGUSER": "nobody_here"])
    #expect(refusal.message.contains("role \"nobody_here\" does not exist"))
    #expect(refusal.hint?.contains("PGUSER") == true)
  }

  @Test("A role that may not do what a backup needs")
  func limitedRole() throws {
    let site = try Site.shared.get()
    let refusal = try refused(words(site.dataDirectory), 12, environment: ["PGUSER": "limited"])
    #expect(refusal.message.contains("the role \"limited\" may not run CHECKPOINT"))
    #expect(
      refusal.hint?.contains("GRANT pg_checkpoint, pg_read_all_settings TO \"limited\"") == true)
    #expect(nothingIsMade())
  }

  @Test("A server that is elsewhere than PGHOST says")
  func wrongHost() throws {
    let site = try Site.shared.get()
    let refusal = try refused(words(site.dataDirectory), 12, environment: ["PGHOST": "/no/such"])
    #expect(refusal.message.contains("/no/such/.s.PGSQL.5432"))
    #expect(refusal.hint?.contains("PGHOST") == true)
  }

  @Test("Another cluster's server behind PGHOST")
  func otherServer() throws {
    let site = try Site.shared.get()
    let other = try ThrowAwayCluster()
    let refusal = try refused(
      words(site.dataDirectory), 11, environment: ["PGHOST": other.folder.string])
    #expect(refusal.message.contains(other.dataDirectory.string))
    #expect(refusal.hint != nil)
  }

  @Test("A cluster on no logical volume: which path, which device", arguments: ["backup", "plan"])
  func notOnLVM(_ what: String) throws {
    let site = try Site.shared.get()
    let refusal = try refused(
      words(site.dataDirectory) + ["--consistency", "snapshot"]
        + (what == "plan" ? ["--dry-run"] : []), 11)
    let device = try OpenFolder.open(site.host.cluster.dataDirectory).metadata().device
    #expect(refusal.message.hasPrefix("\(site.dataDirectory) is on "))
    #expect(refusal.message.contains("device \(device)"))
    #expect(refusal.message.contains("cannot be snapshotted"))
    #expect(refusal.hint?.contains("logical volume") == true)
    #expect(nothingIsMade())
  }

  /// How a repository gets into the cluster.
  enum Way: String, CaseIterable {
    case below, newFolder, link, tablespace, bindMount, mountedInside
  }

  @Test("A repository inside the cluster, by whatever way", arguments: Way.allCases)
  func repositoryInside(_ way: Way) throws {
    let site = try OnlineSite()
    let data = site.cluster.dataDirectory
    let outside = FilePath(site.repository)
    var inside = (way == .tablespace ? site.tablespace : data).appending("backups")
    if way != .newFolder { try site.cluster.runAsOwner("/bin/mkdir", [inside.string]) }
    var mounted: FilePath?
    defer { if let mounted { umount2(mounted.string, Int32(MNT_DETACH)) } }
    func bind(_ folder: FilePath, on other: FilePath) throws {
      try #require(
        mount(folder.string, other.string, nil, UInt(MS_BIND), nil) == 0,
        "this test mounts folders: run it as root")
      mounted = other
    }
    switch way {
    case .below, .newFolder, .tablespace: break
    case .link:
      let link = site.place.path.appending("link")
      try Tool.demand("ln", "-s", inside.string, link.string)
      inside = link
    case .bindMount:
      try bind(inside, on: outside)
      inside = outside.appending("repo")
    case .mountedInside:
      try bind(outside, on: inside)
      inside = outside
    }
    let words = site.words().map { $0 == site.repository ? inside.string : $0 }
    let refusal = try refused(words, 11, environment: site.environment())
    #expect(refusal.message.hasPrefix("the repository \(inside) lies inside "))
    #expect(
      refusal.message.contains(
        way == .tablespace ? "inside tablespace " : "inside the data directory"))
    #expect(refusal.hint != nil)
    let made = way == .newFolder ? [] : try OpenFolder.open(inside.removingLastComponent()).names()
    #expect(!made.contains("main"))
  }

  @Test("A check asks every question, whatever the answers")
  func check() throws {
    let site = try Site.shared.get()
    let outcome = try PgstillProgram.run(
      words(site.dataDirectory, verb: "check") + ["--json", "--consistency", "snapshot"])
    #expect(outcome.status == 11)
    let items = try #require(try document(outcome)["items"] as? [[String: Any]])
    let names = items.compactMap { $0["name"] as? String }
    // What the snapshots would need is no question where there can be none.
    #expect(names == ["server", "role", "volume", "volume", "repository", "mode"])
    let bad = items.filter { $0["isGood"] as? Bool == false }.compactMap { $0["name"] as? String }
    #expect(bad == ["mode"])
    #expect(nothingIsMade())
  }

  @Test("A check says which mode it will be, and what a better one would need")
  func checkChooses() throws {
    let site = try Site.shared.get()
    let spoken = try PgstillProgram.run(words(site.dataDirectory, verb: "check"))
    #expect(spoken.status == 0, "\(spoken.talk)")
    let lines = spoken.output.split(separator: "\n").filter { !$0.hasPrefix(" ") }
    #expect(lines.count { $0.hasPrefix("ok  ") } == 6)
    #expect(
      lines.contains { $0.hasPrefix("ok  mode: online, because not everything can be frozen") })
    #expect(lines.count { $0.hasPrefix("for a better mode: ") } == 2)
    #expect(nothingIsMade())
  }

  @Test("A check of a repository that the owner may not write names owner and command")
  func notWritable() throws {
    let site = try Site.shared.get()
    let folder = try place.folder("roots")
    let outcome = try PgstillProgram.run([
      "check", "--json", "--pgdata", site.dataDirectory, "--repo", folder.string,
    ])
    #expect(outcome.status == 11)
    let items = try #require(try document(outcome)["items"] as? [[String: Any]])
    let item = try #require(items.first { $0["name"] as? String == "repository" })
    let detail = try #require(item["detail"] as? String)
    #expect(detail.contains("the repository \(folder) is not writable for \(FakeHost.owner)"))
    #expect(
      item["hint"] as? String
        == "Make it once as root: install -d -o \(FakeHost.owner) -m 700 \(folder)")
    #expect(item["status"] as? Int == 11)
    #expect(try OpenFolder.open(folder).names() == [])
  }

  @Test("A check of a stopped server still looks at the repository")
  func checkStopped() throws {
    let cluster = try ThrowAwayCluster(isStarted: false)
    let outcome = try PgstillProgram.run(
      words(cluster.dataDirectory.string, verb: "check") + ["--json"])
    #expect(outcome.status == 11)
    let items = try #require(try document(outcome)["items"] as? [[String: Any]])
    #expect(items.compactMap { $0["name"] as? String } == ["server", "repository"])
    #expect(items.first?["hint"] as? String != nil)
  }
}
