import Foundation
import StillModel
import StillPostgres
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

/// A cluster on no logical volume, which a test may have stopped and started, and a place for its
/// backups.
final class StoppableSite {
  let cluster: ThrowAwayCluster
  let place: TestFolder
  var repository: String { place.path.appending("repo").string }
  var dataDirectory: String { cluster.dataDirectory.string }

  init(settings: [String: String] = [:]) throws {
    cluster = try ThrowAwayCluster(settings: settings)
    place = try TestFolder(on: .memory, owner: FakeHost.owner)
    try cluster.sql(
      "CREATE TABLE here AS SELECT generate_series(1, 1000) AS n",
      "CREATE UNLOGGED TABLE volatile AS SELECT generate_series(1, 3000) AS n")
  }

  /// For commands: a stop and a start that work.
  var stop: String { "\(cluster.programs)/pg_ctl stop -D \(dataDirectory) -m fast -w -s" }
  var start: String {
    "\(cluster.programs)/pg_ctl start -D \(dataDirectory) -l \(cluster.log) -w -s"
  }

  func backUp(
    _ words: [String] = [], stop: String? = nil, start: String? = nil,
    environment: [String: String] = [:], prefix: [String] = []
  ) throws -> Tool.Outcome {
    var all = [
      "backup", "--pgdata", dataDirectory, "--repo", repository, "--cluster", "main",
      "--consistency", "shutdown", "--json",
    ]
    if stop != nil || start != nil {
      all += ["--stop-command", stop ?? self.stop, "--start-command", start ?? self.start]
    }
    return try PgstillProgram.run(all + words, environment: environment, prefix: prefix)
  }

  /// The server's first process; nil where none runs.
  func postmaster() throws -> Int32? {
    try Postmaster.running(in: OpenFolder.open(cluster.dataDirectory))?.processID
  }

  /// The backups and partials in the repository.
  func backups() throws -> [String] {
    let folder = try? OpenFolder.open(FilePath(repository).appending("main"))
    return try folder?.names().map(\.string).filter { $0 != ".lock" } ?? []
  }

  /// Waits until the server takes connections; the limit only ends a broken test.
  func waitUntilUp() throws {
    for _ in 0..<600 {
      if (try? cluster.sql("SELECT 1")) == "1" { return }
      usleep(100_000)
    }
    throw Trouble("the server is down for good")
  }

  /// What failed, from the one document on stdout.
  func failure(
    _ outcome: Tool.Outcome, _ status: Int32, at location: SourceLocation = #_sourceLocation
  ) throws -> (message: String, hint: String, further: [String]) {
    #expect(outcome.status == status, "\(outcome.talk)", sourceLocation: location)
    let error = try #require(
      try document(outcome)["error"] as? [String: Any], sourceLocation: location)
    return (
      error["message"] as? String ?? "", error["hint"] as? String ?? "",
      error["further"] as? [String] ?? []
    )
  }
}
