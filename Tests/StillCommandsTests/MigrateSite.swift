import Foundation
import StillModel
import StillPostgres
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

/// A cluster with a tablespace and linked WAL that a test may move, and a place to move it to.
final class MigrateSite: Sendable {
  let cluster: ThrowAwayCluster
  let tablespace: FilePath
  let place: TestFolder
  var target: FilePath { place.path.appending("new") }

  init(settings: [String: String] = [:]) throws {
    cluster = try ThrowAwayCluster(
      settings: settings, initdb: ["--data-checksums", "--wal-segsize=1"], isStarted: false)
    let wal = cluster.folder.appending("wal")
    let data = cluster.dataDirectory
    try Tool.demand("mv", "\(data)/pg_wal", wal.string)
    try Tool.demand("ln", "-s", wal.string, "\(data)/pg_wal")
    try cluster.start()
    tablespace = try cluster.makeTablespace("elsewhere")
    try cluster.sql(
      "CREATE TABLE here AS SELECT i AS n, repeat('x', 300) FROM generate_series(1, 20000) AS i",
      "CREATE TABLE there TABLESPACE elsewhere AS SELECT generate_series(1, 2000) AS n",
      "CREATE TABLE ledger (n bigint PRIMARY KEY, account int, amount int) TABLESPACE elsewhere",
      "CREATE UNLOGGED TABLE volatile AS SELECT generate_series(1, 3000) AS n")
    place = try TestFolder(on: .memory, owner: FakeHost.owner)
  }

  deinit {
    // Of either place.
    _ = try? cluster.run(
      "pg_ctl", ["stop", "-w", "-s", "-m", "immediate", "-D", target.string])
  }

  func migrate(
    _ words: [String] = [], environment: [String: String] = [:], prefix: [String] = []
  ) throws -> Tool.Outcome {
    try PgstillProgram.run(
      [
        "migrate", "--pgdata", cluster.dataDirectory.string, "--to", target.string,
        "--tablespace-mapping", "\(tablespace)=\(place.path)/space", "--json",
      ] + words, environment: environment, prefix: prefix)
  }

  func undo(_ words: [String] = []) throws -> Tool.Outcome {
    try PgstillProgram.run(
      ["migrate", "--undo", "--pgdata", cluster.dataDirectory.string, "--json"] + words)
  }

  func postmaster(of folder: FilePath) throws -> Int32? {
    guard let folder = try? OpenFolder.open(folder) else { return nil }
    return try Postmaster.running(in: folder)?.processID
  }

  /// Waits until the server takes connections; the limit only ends a broken test.
  func waitUntilUp() throws {
    for _ in 0..<600 {
      if (try? cluster.sql("SELECT 1")) == "1" { return }
      Clock.sleep(milliseconds: 100)
    }
    throw Trouble("the server is down for good")
  }

  /// The old server serves the old folder, as if nothing had been.
  func expectBack(at location: SourceLocation = #_sourceLocation) throws {
    try waitUntilUp()
    #expect(
      try cluster.sql("SHOW data_directory") == cluster.dataDirectory.string,
      sourceLocation: location)
    #expect(try postmaster(of: target) == nil, "no second server", sourceLocation: location)
    #expect(
      !FileManager.default.fileExists(atPath: "\(cluster.dataDirectory)/pgstill.migration"),
      sourceLocation: location)
    #expect(
      !FileManager.default.fileExists(atPath: "\(target)/global/pg_control"),
      "what is at the target is no cluster", sourceLocation: location)
    #expect(try cluster.sql("SELECT count(*) FROM here") == "20000", sourceLocation: location)
    #expect(
      try cluster.sql("SELECT count(*) FROM pg_class WHERE relname LIKE 'pgstill%'") == "0",
      sourceLocation: location)
  }

  /// What failed, from the one document on stdout.
  func failure(
    _ outcome: Tool.Outcome, _ status: Int32, at location: SourceLocation = #_sourceLocation
  ) throws -> (message: String, further: [String]) {
    #expect(outcome.status == status, "\(outcome.talk)", sourceLocation: location)
    let error = try #require(
      try document(outcome)["error"] as? [String: Any], sourceLocation: location)
    return (error["message"] as? String ?? "", error["further"] as? [String] ?? [])
  }
}

/// Books amounts to and fro, one transaction after the other, through every break of the connection,
/// and remembers what was confirmed.
final class LedgerLoad: Sendable {
  private struct State {
    var isEnded = false
    var confirmed: [Int64] = []
  }

  private let state = Monitor(State())
  private let thread: Monitor<WorkerThread?>

  init(_ cluster: ThrowAwayCluster) throws {
    thread = Monitor(nil)
    let started = try WorkerThread { [state] in
      var number: Int64 = 0
      while !state.update({ $0.isEnded }) {
        guard let session = try? cluster.session() else {
          Clock.sleep(milliseconds: 20)
          continue
        }
        while !state.update({ $0.isEnded }) {
          number += 2
          do {
            _ = try session.query(
              """
              INSERT INTO public.ledger
              VALUES (\(number), \(number % 7), \(number)), (\(number + 1), \(number % 5), -\(number))
              """)
          } catch { break }
          state.update { [number] in $0.confirmed.append(number) }
        }
      }
    }
    thread.update { $0 = started }
    state.wait { $0.confirmed.count > 50 ? () : nil }
  }

  /// Ends it. - Returns: what was confirmed.
  func end() -> [Int64] {
    state.update { $0.isEnded = true }
    thread.update { $0 }?.join()
    return state.update { $0.confirmed }
  }

  /// Waits for so many confirmations more.
  func wait(for count: Int) {
    let before = state.update { $0.confirmed.count }
    state.wait { $0.confirmed.count >= before + count ? () : nil }
  }
}
