import Glibc
import StillModel
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

@testable import StillPostgres

@Suite(.serialized) struct DataDirectoryTests {
  let cluster: ThrowAwayCluster

  init() throws { cluster = try ThrowAwayCluster() }

  @Test func aClusterIsRecognised() throws {
    let directory = try DataDirectory.open(cluster.dataDirectory)
    let identifier = try cluster.sql("SELECT system_identifier FROM pg_control_system()")
    #expect("\(directory.control.systemIdentifier)" == identifier)
    #expect(
      directory.majorVersion == Int(try cluster.sql("SHOW server_version_num")).map { $0 / 10000 })
    #expect(directory.tablespaceFolder.hasPrefix("PG_\(directory.majorVersion)_"))
  }

  @Test func whatIsNoneSaysSo() throws {
    let parent = try #require(throws: StillError.self) { try DataDirectory.open(cluster.folder) }
    #expect(parent.status == .precondition)
    #expect(parent.message == "\(cluster.folder) is not a data directory: it has no PG_VERSION")
    #expect(parent.hint == "Did you mean \(cluster.dataDirectory)?")
    for path: FilePath in [cluster.folder.appending("missing"), cluster.log] {
      let error = try #require(throws: StillError.self) { try DataDirectory.open(path) }
      #expect(error.status == .precondition)
      #expect(error.hint?.contains("PG_VERSION") == true)
    }
  }

  @Test func oldAndDamagedClustersAreRefused() throws {
    try cluster.stop()
    try cluster.runAsOwner("/bin/sh", ["-c", "echo 9.6 >\(cluster.dataDirectory)/PG_VERSION"])
    let old = try #require(throws: StillError.self) {
      try DataDirectory.open(cluster.dataDirectory)
    }
    #expect(old.message.contains("PostgreSQL 9.6"))
    try cluster.runAsOwner(
      "/bin/sh",
      [
        "-c",
        "cd \(cluster.dataDirectory); echo 15 >PG_VERSION; printf x | dd of=global/pg_control conv=notrunc",
      ])
    let damaged = try #require(throws: StillError.self) {
      try DataDirectory.open(cluster.dataDirectory)
    }
    #expect(damaged.message.contains("checksum"))
  }

  // MARK: postmaster.pid

  @Test func theRunningServerIsFound() throws {
    let folder = try OpenFolder.open(cluster.dataDirectory)
    let found = try #require(try Postmaster.running(in: folder))
    #expect(found.port == cluster.port)
    #expect(found.socketFolder == cluster.folder.string)
    #expect(found.dataDirectory == cluster.dataDirectory.string)
    #expect(found.listenAddress == nil)
    #expect(found.status == "ready")
    let session = try Session.open(
      ConnectionTarget(postmaster: found, user: cluster.owner, environment: [:]))
    let started = try session.query(
      "SELECT extract(epoch FROM pg_postmaster_start_time())::bigint AS started"
    ).single().number("started", as: Int64.self)
    #expect(abs(found.started.secondsSince1970 - started) <= 5)
  }

  @Test func aStoppedServerIsNone() throws {
    let folder = try OpenFolder.open(cluster.dataDirectory)
    try cluster.stop()
    #expect(try Postmaster.running(in: folder) == nil)
  }

  @Test func aLockFileThatWasLeftBehindIsNone() throws {
    let folder = try OpenFolder.open(cluster.dataDirectory)
    let found = try #require(try Postmaster.running(in: folder))
    // A copy of a running cluster has the lock file of the original.
    let copy = cluster.folder.appending("copy")
    try cluster.runAsOwner("/bin/mkdir", [copy.string])
    try cluster.runAsOwner(
      "/bin/cp", [cluster.dataDirectory.appending("postmaster.pid").string, copy.string])
    #expect(try Postmaster.running(in: OpenFolder.open(copy)) == nil)
    // And a server that was killed leaves its own.
    kill(found.processID, SIGKILL)
    var patience = 100
    while try Postmaster.running(in: folder) != nil, patience > 0 {
      usleep(50_000)
      patience -= 1
    }
    #expect(try Postmaster.running(in: folder) == nil)
  }

  @Test func lockFilesAreRead() throws {
    func parse(_ text: String) throws -> Postmaster? { try Postmaster.parse(Array(text.utf8)) }
    let whole = try #require(
      try parse("12\n/d a\n1700000000\n5433\n/run/a\nlocalhost\n  5433001  7\nstandby \n"))
    #expect(whole.processID == 12)
    #expect(whole.dataDirectory == "/d a")
    #expect(whole.started.iso8601 == "2023-11-14T22:13:20Z")
    #expect(whole.status == "standby")
    #expect(whole.host == "/run/a")
    #expect(try parse("12\n/d\n1700000000\n5433\n\n*\n")?.host == "127.0.0.1")
    #expect(try parse("12\n/d\n1700000000\n5433\n\n::\n")?.host == "::1")
    #expect(try parse("12\n/d\n1700000000\n5433\n\n\n")?.host == nil)
    #expect(try parse("") == nil)
    #expect(try parse("12\n/d\n17000") == nil)
    let single = #expect(throws: StillError.self) { try parse("-12\n/d\n1700000000\n5432\n") }
    #expect(single?.status == .precondition)
  }

  // MARK: Which cluster

  @Test func theServerOfThisClusterIsTold() throws {
    let session = try cluster.session()
    try session.requireServing(DataDirectory.open(cluster.dataDirectory))

    let other = try ThrowAwayCluster()
    let foreign = try #require(throws: StillError.self) {
      try session.requireServing(DataDirectory.open(other.dataDirectory))
    }
    #expect(foreign.status == .precondition)
    #expect(foreign.message.contains("serves another cluster"))

    let copy = cluster.folder.appending("copy")
    try cluster.runAsOwner("/bin/cp", ["-a", cluster.dataDirectory.string, copy.string])
    let sibling = try #require(throws: StillError.self) {
      try session.requireServing(DataDirectory.open(copy))
    }
    #expect(sibling.message.contains("same system identifier"))

    let link = cluster.folder.appending("link")
    symlink(cluster.dataDirectory.string, link.string)
    try session.requireServing(DataDirectory.open(link))
  }
}
