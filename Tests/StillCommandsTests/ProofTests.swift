import Foundation
import StillModel
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

/// `verify --start`: a server on a restored copy, beside the one that was backed up.
@Suite(.serialized) struct ProofTests {
  private func verify(
    _ site: OnlineSite, _ more: [String] = [], environment: [String: String] = [:]
  ) throws -> Tool.Outcome {
    try PgstillProgram.run(
      ["verify", "latest", "--repo", site.repository, "--start", "--json", "--progress", "none"]
        + more, environment: environment)
  }

  private func backUp(_ site: OnlineSite, _ status: Int32 = 0) throws {
    let outcome = try site.backUp()
    try #require(outcome.status == status, "\(outcome.talk)")
  }

  private func result(_ outcome: Tool.Outcome) throws -> [String: Any] {
    try #require((try document(outcome)["backups"] as? [[String: Any]])?.first)
  }

  private func proof(_ outcome: Tool.Outcome) throws -> [String: Any] {
    try #require(try result(outcome)["proof"] as? [String: Any], "\(outcome.output)")
  }

  /// What lies in the cluster's folder of the repository, hidden names apart.
  private func names(_ site: OnlineSite) throws -> [String] {
    try OpenFolder.open(FilePath(site.repository).appending("main")).names().map(\.string)
      .filter { !$0.hasPrefix(".") }
  }

  private func expectNothingLeft(_ site: OnlineSite, at location: SourceLocation = #_sourceLocation)
    throws
  {
    #expect(socketFolders == [], sourceLocation: location)
    let id = try site.published().id.description
    #expect(Set(try names(site)) == [id, "latest"], sourceLocation: location)
  }

  /// Outside of scratch places, whose paths are long here.
  private var socketFolders: [String] {
    (try? OpenFolder.open("/tmp").names().map(\.string).filter { $0.hasPrefix("pgstill-proof-") })
      ?? ["/tmp cannot be read"]
  }

  @Test("A good backup proves itself; the server that runs is not touched")
  func good() throws {
    let archive = try TestFolder(on: .disk, owner: FakeHost.owner)
    let site = try OnlineSite([
      "archive_mode": "on", "archive_command": "'cp %p \(archive.path)/%f'",
      "shared_preload_libraries": "pg_stat_statements", "max_prepared_transactions": "5",
    ])
    // Settings that a copy must not follow: it would reach for the primary's place and archive.
    try site.cluster.sql(
      "ALTER SYSTEM SET archive_command = 'touch \(archive.path)/touched; false'")
    try site.cluster.sql("CREATE DATABASE second")
    try site.cluster.sql("BEGIN", "INSERT INTO here VALUES (0)", "PREPARE TRANSACTION 'waiting'")
    try backUp(site)
    let server = try site.cluster.sql("SELECT pg_postmaster_start_time()")
    let archived = try OpenFolder.open(archive.path).names()
    let wrongWay = ["PGHOST": site.cluster.folder.string, "PGPORT": "1", "PGHOSTADDR": "127.0.0.1"]

    let outcome = try verify(site, environment: wrongWay)
    #expect(outcome.status == 0, "\(outcome.output)\(outcome.talk)")
    let proof = try proof(outcome)
    #expect((proof["problems"] as? [String]) == [])
    let checks = try #require(proof["checks"] as? [String])
    for word in [
      "started and recovered", "database second answers", "pg_amcheck found no fault",
      "every page has its checksum",
    ] {
      #expect(checks.contains { $0.contains(word) }, "\(word): \(checks)")
    }
    #expect(proof["seconds"] as? Double ?? 0 > 0)
    #expect((proof["postgres"] as? String)?.isEmpty == false)

    try expectNothingLeft(site)
    #expect(try site.cluster.sql("SELECT pg_postmaster_start_time()") == server)
    #expect(try OpenFolder.open(archive.path).names() == archived)

    // The record has it, and its seal is still good.
    let words = ["--repo", site.repository]
    let shown = try PgstillProgram.run(["show", "latest"] + words).output
    #expect(shown.contains("proof         good, "))
    #expect(try PgstillProgram.run(["list"] + words).output.contains("good 20"))
    let plain = try PgstillProgram.run(["verify", "latest"] + words)
    #expect(plain.status == 0, "\(plain.output)")
    #expect(try site.published().record().proof?.isGood == true)
  }

  @Test("An index that was damaged before the backup is found and named")
  func badIndex() throws {
    let site = try OnlineSite(checksums: false)
    try site.cluster.sql(
      "CREATE INDEX here_n ON here (n)", "CHECKPOINT")
    let file = try site.cluster.sql("SELECT pg_relation_filepath('here_n')")
    try site.cluster.stop()
    // The first leaf, behind the numbers of its items.
    try damage(site.cluster.dataDirectory.pushing(FilePath(file)), at: 8192 + 5000, count: 2000)
    try site.cluster.start()
    try backUp(site)

    let outcome = try verify(site)
    #expect(outcome.status == 14, "\(outcome.output)")
    #expect(try result(outcome)["problems"] as? [String] == [])
    let problems = try #require(try proof(outcome)["problems"] as? [String])
    #expect(
      problems.contains { $0.contains("btree index") && $0.contains("public.here_n") },
      "\(problems)")
    try expectNothingLeft(site)
    let words = ["--repo", site.repository]
    #expect(try PgstillProgram.run(["list"] + words).output.contains("FAILED 20"))
    #expect(try PgstillProgram.run(["show", "latest"] + words).output.contains("public.here_n"))
  }

  @Test("A page that was damaged before the backup is found by its checksum")
  func badPage() throws {
    let site = try OnlineSite()
    try site.cluster.sql("CHECKPOINT")
    let file = try site.cluster.sql("SELECT pg_relation_filepath('here')")
    try site.cluster.stop()
    try damage(site.cluster.dataDirectory.pushing(FilePath(file)), at: 8192 * 3 + 5000, count: 20)
    try site.cluster.start()
    try backUp(site, 3)
    let outcome = try verify(site)
    #expect(outcome.status == 14)
    let problems = try #require(try proof(outcome)["problems"] as? [String])
    #expect(problems.contains { $0.contains("heap table") && $0.contains("public.here") })
    #expect(
      problems.contains { $0.contains("checksum verification failed") && $0.contains(file) },
      "\(problems)")
  }

  @Test("A server that does not start fails the proof, with what it says")
  func noStart() throws {
    let site = try OnlineSite(["max_prepared_transactions": "5"], checksums: false)
    try site.cluster.sql("BEGIN", "INSERT INTO here VALUES (0)", "PREPARE TRANSACTION 'waiting'")
    try site.cluster.sql("CHECKPOINT")
    let folder = site.cluster.dataDirectory.appending("pg_twophase")
    let name = try #require(try OpenFolder.open(folder).names().first)
    try damage(folder.appending(name.components), at: 40, count: 20)
    try backUp(site)
    let outcome = try verify(site)
    #expect(outcome.status == 14, "\(outcome.output)")
    let problems = try #require(try proof(outcome)["problems"] as? [String])
    #expect(problems.first?.hasPrefix("the server did not start") == true, "\(problems)")
    #expect(problems.contains { $0.contains("pg_twophase") }, "\(problems)")
    try expectNothingLeft(site)
  }

  // MARK: What is no fault of the backup

  @Test("More checks at once than the cluster had connections")
  func manyJobs() throws {
    let site = try OnlineSite()
    try backUp(site)
    let outcome = try verify(site, ["-j", "40"])
    #expect(outcome.status == 0, "\(outcome.output)\(outcome.talk)")
  }

  @Test("Event triggers do not fire, whenever they are enabled", arguments: ["ALWAYS", "REPLICA"])
  func eventTriggers(_ when: String) throws {
    let site = try OnlineSite()
    try site.cluster.sql(
      "CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS "
        + "$$BEGIN RAISE EXCEPTION 'nobody makes anything here'; END$$",
      "CREATE EVENT TRIGGER \"the \"\"first\" ON ddl_command_start EXECUTE FUNCTION refuse()",
      "CREATE EVENT TRIGGER last ON ddl_command_end EXECUTE FUNCTION refuse()",
      "ALTER EVENT TRIGGER \"the \"\"first\" ENABLE \(when)",
      "ALTER EVENT TRIGGER last ENABLE \(when)")
    try backUp(site)
    let outcome = try verify(site)
    #expect(outcome.status == 0, "\(outcome.output)\(outcome.talk)")
  }

  private static let seventeen = ThrowAwayCluster.programs(ofVersion: 17)

  @Test(
    "Limits of a role's transactions do not end the checks",
    .enabled(if: seventeen != nil, "PostgreSQL 17 is not here; scripts/servers says why"))
  func timeouts() throws {
    let programs = try #require(ProofTests.seventeen)
    let site = try OnlineSite(programs: programs)
    try site.cluster.sql(
      "CREATE TABLE large AS SELECT i AS n FROM generate_series(1, 500000) AS i",
      "CREATE INDEX ON large (n)",
      "ALTER ROLE \(site.cluster.owner) SET transaction_timeout = '50ms'",
      "ALTER ROLE \(site.cluster.owner) SET idle_session_timeout = '50ms'")
    try backUp(site)
    let outcome = try verify(site, ["-j", "2", "--pg-bin", programs.string])
    #expect(outcome.status == 0, "\(outcome.output)\(outcome.talk)")
  }

  @Test(
    "Too little room for what a server writes",
    .enabled(if: Account.effectiveUser == 0, "only root may mount a small file system"))
  func noRoom() throws {
    let site = try OnlineSite()
    try backUp(site)
    let scratch = try site.place.folder("small", owner: FakeHost.owner)
    let size = try site.published().record().bytesRead + 1 << 20
    let options = "size=\(size),mode=700,uid=\(try OpenFolder.open(scratch).metadata().owner)"
    try Tool.demand("mount", "-t", "tmpfs", "-o", options, "none", scratch.string)
    defer { _ = try? Tool.demand("umount", scratch.string) }
    let refusal = try refused(
      [
        "verify", "latest", "--repo", site.repository, "--start", "--scratch", scratch.string,
        "--progress", "none",
      ], 11)
    #expect(refusal.message.contains("has room for"))
    #expect(try OpenFolder.open(scratch).names() == [])
    #expect(try site.published().record().proof == nil)
  }

  @Test("A record that cannot be written: the proof is told all the same")
  func readOnly() throws {
    let site = try OnlineSite()
    try backUp(site)
    let folder = try site.published().path.string
    let scratch = try site.place.folder("scratch", owner: FakeHost.owner)
    try Tool.demand("chmod", "500", folder)
    defer { _ = try? Tool.demand("chmod", "700", folder) }
    let outcome = try verify(site, ["--scratch", scratch.string])
    #expect(outcome.status == 0, "\(outcome.output)")
    #expect((try proof(outcome)["problems"] as? [String]) == [])
    #expect(outcome.talk.contains("the proof is not in the backup's record"), "\(outcome.talk)")
    #expect(try site.published().record().proof == nil)
  }

  private func damage(_ file: FilePath, at offset: Int, count: Int) throws {
    var bytes = [UInt8](try Data(contentsOf: URL(filePath: file.string)))
    for place in offset..<offset + count { bytes[place] = UInt8.random(in: 1...255) }
    let handle = try FileHandle(forWritingTo: URL(filePath: file.string))
    try handle.write(contentsOf: Data(bytes))
    try handle.close()
  }

  // MARK: Interrupted

  /// A proof that rests when its server is up.
  private func interrupted(
    _ site: OnlineSite, _ signal: Int32, scratch: FilePath
  ) throws -> (status: Int32, server: Int32) {
    let marks = site.place.path.appending("marks").string
    try Data().write(to: URL(filePath: marks))
    chmod(marks, 0o666)
    let child = try Child.start(
      PgstillProgram.path(),
      [
        "verify", "latest", "--repo", site.repository, "--start", "--scratch", scratch.string,
        "--progress", "none",
      ],
      environment: [
        "PATH": "/usr/bin:/bin", "PGSTILL_TEST_PAUSE_AT": "prove.up",
        "PGSTILL_TEST_PAUSE_MS": "2000", "PGSTILL_TEST_MARKS": marks,
      ], input: .open("/dev/null"), output: .inMemory())
    while try !String(contentsOfFile: marks, encoding: .utf8).contains("prove.up") {
      if let status = child.statusIfEnded() { throw Trouble("it ended with \(status)") }
      usleep(10_000)
    }
    let name = try #require(
      try OpenFolder.open(scratch).names().first { $0.string.hasPrefix("pgstill-proof-2") })
    let place = try OpenFolder.open(scratch).folder(name)
    #expect(try place.metadata().mode == 0o700)
    let lock = try place.folder("data").file("postmaster.pid").readAll()
    let server = Int32(String(decoding: lock, as: UTF8.self).prefix { $0.isNumber }) ?? 0
    #expect(kill(server, 0) == 0)
    kill(child.process, signal)
    return (child.wait(), server)
  }

  @Test("A signal ends the proof in order: the server is gone, and so is the scratch place")
  func signalled() throws {
    let site = try OnlineSite()
    try backUp(site)
    let scratch = try site.place.folder("scratch", owner: FakeHost.owner)
    let (status, server) = try interrupted(site, SIGTERM, scratch: scratch)
    #expect(status == 128 + SIGTERM)
    #expect(kill(server, 0) != 0)
    #expect(try OpenFolder.open(scratch).names() == [])
    #expect(try site.published().record().proof == nil)
  }

  @Test("What a killed one leaves, its server too, is removed by the next")
  func killed() throws {
    let site = try OnlineSite()
    try backUp(site)
    let scratch = try site.place.folder("scratch", owner: FakeHost.owner)
    try Tool.demand("mkdir", "\(scratch)/pgstill-proof-of-somebody", "\(scratch)/other")
    let (status, server) = try interrupted(site, SIGKILL, scratch: scratch)
    #expect(status == 128 + SIGKILL)
    #expect(kill(server, 0) == 0, "its server goes on")
    #expect(socketFolders.count == 1)
    let outcome = try verify(site, ["--scratch", scratch.string])
    #expect(outcome.status == 0, "\(outcome.talk)")
    #expect(kill(server, 0) != 0)
    #expect(socketFolders == [])
    // Nothing else was touched.
    #expect(
      try OpenFolder.open(scratch).names().map(\.string) == ["other", "pgstill-proof-of-somebody"])
    #expect(try names(site).allSatisfy { !$0.hasPrefix("pgstill-proof") })
  }

  @Test("The number of a server that is gone may be another process's by now, whose it stays")
  func reusedNumber() throws {
    let site = try OnlineSite()
    try backUp(site)
    let scratch = try site.place.folder("scratch", owner: FakeHost.owner)
    let left = scratch.appending("pgstill-proof-\(try site.published().id)")
    try Tool.demand("mkdir", "-p", "\(left)/data", "\(left)/server")
    // Of root, so that nobody else sees where it works.
    let lines = "1\n\(left)/data\n1700000000\n5432\n\(left)/server/s\n\n  1  1\nready   \n"
    try lines.write(toFile: "\(left)/data/postmaster.pid", atomically: false, encoding: .utf8)
    try TestFolder.give(left, to: FakeHost.owner)
    let outcome = try verify(site, ["--scratch", scratch.string])
    #expect(outcome.status == 0, "\(outcome.output)\(outcome.talk)")
    #expect(try OpenFolder.open(scratch).names() == [])
  }

  // MARK: What cannot be tried

  @Test("A library that is not installed here is named; that says nothing about the backup")
  func missingLibrary() throws {
    let site = try OnlineSite()
    try site.cluster.sql("ALTER SYSTEM SET shared_preload_libraries = pg_stat_statements, no_such")
    try backUp(site)
    let refusal = try refused(
      ["verify", "latest", "--repo", site.repository, "--start", "--progress", "none"], 11)
    #expect(refusal.message.contains("has no_such in shared_preload_libraries"))
    #expect(refusal.hint == "Install it here too.")
    try expectNothingLeft(site)
    #expect(try site.published().record().proof == nil)
  }

  @Test("A superuser of another name has to be told; that says nothing about the backup either")
  func otherSuperuser() throws {
    let site = try OnlineSite()
    try site.cluster.sql(
      "CREATE ROLE boss SUPERUSER LOGIN", "ALTER ROLE \(site.cluster.owner) NOLOGIN")
    let backup = try site.backUp(user: "boss")
    try #require(backup.status == 0, "\(backup.talk)")
    let refusal = try refused(
      ["verify", "latest", "--repo", site.repository, "--start", "--progress", "none"], 11,
      again: false)
    #expect(refusal.message.hasPrefix("no superuser of the cluster is known; tried "))
    #expect(refusal.hint?.contains("PGUSER") == true)
    #expect(try site.published().record().proof == nil)
    let told = try verify(site, environment: ["PGUSER": "boss"])
    #expect(told.status == 0, "\(told.output)\(told.talk)")
  }

  @Test("Programs that are not there or of another version; options that mean nothing alone")
  func refusals() throws {
    let site = try OnlineSite()
    try backUp(site)
    let words = ["verify", "latest", "--repo", site.repository, "--progress", "none"]
    let none = try refused(words + ["--start", "--pg-bin", "/etc"], 11)
    #expect(none.message == "there is no program postgres in /etc")
    let fake = try site.place.folder("bin", owner: FakeHost.owner)
    try "#!/bin/sh\necho 'postgres (PostgreSQL) 9.6.1'\n".write(
      toFile: "\(fake)/postgres", atomically: false, encoding: .utf8)
    chmod("\(fake)/postgres", 0o755)
    let old = try refused(words + ["--start", "--pg-bin", fake.string], 11)
    #expect(old.message.contains("are of PostgreSQL 9.6.1, but the backup is of "))
    #expect(old.hint?.contains("--pg-bin") == true)
    let nowhere = try refused(words + ["--start", "--scratch", "/no/such/place"], 11)
    #expect(nowhere.message.contains("/no/such/place"))
    let alone = try PgstillProgram.run(words + ["--scratch", "/tmp"])
    #expect(alone.status == 64)
    try expectNothingLeft(site)
  }
}
