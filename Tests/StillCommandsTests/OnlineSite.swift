import Foundation
import Glibc
import StillEngine
import StillModel
import StillPostgres
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

/// A cluster on no logical volume, with a tablespace, page checksums and small segments; and a
/// repository for it.
final class OnlineSite: Sendable {
  let cluster: ThrowAwayCluster
  let tablespace: FilePath
  let place: TestFolder
  var repository: String { place.path.appending("repo").string }

  /// - Parameter programs: of another version than the newest that is installed.
  init(
    _ settings: [String: String] = [:], checksums: Bool = true, programs: FilePath? = nil
  ) throws {
    cluster = try ThrowAwayCluster(
      settings: settings, initdb: (checksums ? ["--data-checksums"] : []) + ["--wal-segsize=1"],
      programs: programs)
    tablespace = try cluster.makeTablespace("elsewhere")
    try cluster.sql(
      "CREATE TABLE here AS SELECT i AS n, repeat('x', 300) FROM generate_series(1, 3000) AS i",
      "CREATE TABLE there TABLESPACE elsewhere AS SELECT generate_series(1, 2000) AS n",
      "CREATE TABLE counter (n bigint PRIMARY KEY)",
      "CREATE UNLOGGED TABLE volatile AS SELECT 1 AS n")
    place = try TestFolder(on: .disk, owner: FakeHost.owner)
    try TestFolder.give(place.folder("repo"), to: FakeHost.owner)
  }

  /// A standby of a site, with a repository of its own.
  init(standbyOf primary: OnlineSite) throws {
    cluster = try ThrowAwayCluster(standbyOf: primary.cluster, tablespaces: [primary.tablespace])
    tablespace = cluster.folder.appending("space-0")
    place = try TestFolder(on: .disk, owner: FakeHost.owner)
    try TestFolder.give(place.folder("repo"), to: FakeHost.owner)
  }

  /// Returns when this standby has replayed what its primary has written so far.
  func catchUp(with primary: OnlineSite) throws {
    let position = try primary.cluster.sql("SELECT pg_current_wal_lsn()")
    for _ in 0..<600 {
      let replayed = "SELECT pg_last_wal_replay_lsn() >= '\(position)'::pg_lsn"
      if try cluster.sql(replayed) == "t" { return }
      Clock.sleep(milliseconds: 50)
    }
    throw Trouble("the standby does not come to \(position)")
  }

  /// Makes the copy take a few seconds.
  func fill() throws {
    try cluster.sql(
      "INSERT INTO here SELECT i, repeat('y', 900) FROM generate_series(1, 40000) AS i")
  }

  /// libpq's environment for the program.
  func environment(user: String? = nil) -> [String: String] {
    ["PGHOST": cluster.folder.string, "PGPORT": "\(cluster.port)", "PGUSER": user ?? cluster.owner]
  }

  /// The words of a backup; `slow` gives a test the time to do something meanwhile.
  func words(slow: Bool = false, _ more: [String] = []) -> [String] {
    [
      "backup", "--pgdata", cluster.dataDirectory.string, "--repo", repository, "--cluster", "main",
      "--consistency", "online",
    ] + (slow ? ["--compress", "zstd:19", "--jobs", "1"] : []) + more
  }

  func backUp(
    slow: Bool = false, user: String? = nil, options: [String] = [], _ more: [String: String] = [:]
  ) throws -> Tool.Outcome {
    try PgstillProgram.run(
      words(slow: slow) + ["--json"] + options,
      environment: environment(user: user).merging(more) { $1 })
  }

  /// Runs a backup, and `meanwhile` as soon as the server is in backup mode; till that is done the
  /// program is held.
  func backUp(meanwhile: @escaping @Sendable () throws -> Void) throws -> Tool.Outcome {
    let trouble = Monitor<(any Error)?>(nil)
    let marks = place.path.appending("marks")
    try Tool.demand("install", "-m", "666", "/dev/null", marks.string)
    let thread = try WorkerThread { [self] in
      do {
        try waitForBackupMode()
        let lines = String(decoding: try OpenFile.open(marks).readAll(), as: UTF8.self)
        let line = lines.split(separator: "\n").first { $0.contains("coordinator") }
        guard let process = line?.split(separator: " ").first.flatMap({ pid_t($0) }) else {
          throw Trouble("no process said who it is: \(lines)")
        }
        kill(process, SIGSTOP)
        defer { kill(process, SIGCONT) }
        try meanwhile()
      } catch { trouble.update { $0 = error } }
    }
    let outcome = try backUp(slow: true, ["PGSTILL_TEST_MARKS": marks.string])
    thread.join()
    if let error = trouble.update({ $0 }) { throw error }
    return outcome
  }

  /// Returns when the backup's session is in backup mode and idle.
  func waitForBackupMode() throws {
    let session = try cluster.session()
    for _ in 0..<600 {
      let rows = try session.query(
        """
        SELECT FROM pg_stat_activity WHERE application_name = 'pgstill' AND state = 'idle'
          AND query LIKE '%pg_backup_start($1%'
        """)
      if !rows.isEmpty { return }
      Clock.sleep(milliseconds: 50)
    }
    throw Trouble("no backup began")
  }

  func published() throws -> BackupFolder {
    try Repository.open(FilePath(repository)).cluster("main").backup("latest")
  }

  /// Nothing in the repository, nothing in the server.
  func expectNothingLeft(at location: SourceLocation = #_sourceLocation) throws {
    let names = try OpenFolder.open(FilePath(repository)).folder("main").names().map(\.string)
    #expect(names == [".lock"], sourceLocation: location)
    let slots = "SELECT count(*) FROM pg_replication_slots WHERE slot_name LIKE 'pgstill%'"
    // The server takes a moment to see that a client is gone.
    for _ in 0..<100 where try cluster.sql(slots) != "0" { Clock.sleep(milliseconds: 50) }
    #expect(try cluster.sql(slots) == "0", sourceLocation: location)
  }

  /// Restores the latest backup, its tablespace elsewhere; returns the data directory.
  func restore(into place: TestFolder) throws -> FilePath {
    let target = place.path.appending("data")
    let outcome = try PgstillProgram.run([
      "restore", "latest", "--repo", repository, "--target", target.string,
      "--tablespace-mapping", "\(tablespace)=\(place.path)/space",
    ])
    guard outcome.status == 0 else { throw Trouble(outcome.talk) }
    return target
  }

  /// Unpacks every archive with tar alone, as somebody would who has no pgstill. Of the tablespace
  /// only the content: the links stay where they lead.
  func unpackByHand(into place: TestFolder) throws -> FilePath {
    let backup = try published()
    let target = place.path.appending("data")
    let space = place.path.appending("space")
    let oid = try backup.record().tablespaces[0].oid
    for (archive, folder) in [
      ("base", target), ("pg_wal", target.appending("pg_wal")), ("\(oid)", space),
    ] {
      try Tool.demand("install", "-d", "-m", "700", folder.string)
      try Tool.demand(
        "tar", "-xpf", backup.path.appending(archive + ".tar.zst").string, "-C", folder.string)
    }
    let link = target.pushing(FilePath("pg_tblspc/\(oid)"))
    try Tool.demand("ln", "-sfn", space.string, link.string)
    try TestFolder.give(place.path, to: FakeHost.owner)
    return target
  }
}

/// Inserts one number after the other, and remembers what the server has confirmed, and where its log
/// stood then.
final class CounterLoad: Sendable {
  private struct State {
    var isEnded = false
    var confirmed: [(number: Int64, position: LSN)] = []
    var trouble: (any Error)?
  }

  private let state = Monitor(State())
  private let thread: Monitor<WorkerThread?>

  init(_ cluster: ThrowAwayCluster) throws {
    thread = Monitor(nil)
    let started = try WorkerThread { [state] in
      do {
        let session = try cluster.session()
        var number: Int64 = 0
        while !state.update({ $0.isEnded }) {
          number += 1
          _ = try session.query("INSERT INTO public.counter VALUES ($1)", ["\(number)"])
          let position = try session.query("SELECT pg_current_wal_flush_lsn() AS at").single()
            .lsn("at")
          state.update { $0.confirmed.append((number, position)) }
        }
      } catch { state.update { $0.trouble = error } }
    }
    thread.update { $0 = started }
    // Some of it before anything else.
    state.wait { $0.confirmed.count > 50 || $0.trouble != nil ? () : nil }
  }

  /// What was confirmed before the log stood at `position`.
  func confirmed(before position: LSN) -> Int64 {
    state.update { $0.confirmed.last { $0.position <= position }?.number ?? 0 }
  }

  func end() throws {
    state.update { $0.isEnded = true }
    thread.update { $0 }?.join()
    if let trouble = state.update({ $0.trouble }) { throw trouble }
  }
}
