import StillPostgres
import SystemPackage

/// A server on a restored data directory, ended when it is dropped.
public final class RestoredServer {
  private let cluster: ThrowAwayCluster
  private let dataDirectory: FilePath
  private let place: TestFolder
  /// Where its socket is.
  public var socketFolder: FilePath { place.path }
  /// What it said since it was started.
  public let log: FilePath

  /// - Parameter cluster: whose programs and owner to use; it may run meanwhile.
  public init(_ dataDirectory: FilePath, like cluster: ThrowAwayCluster) throws {
    self.cluster = cluster
    self.dataDirectory = dataDirectory
    place = try TestFolder(on: .disk, owner: FakeHost.owner)
    log = place.path.appending("log")
    do {
      try cluster.run(
        "pg_ctl",
        [
          "start", "-w", "-s", "-D", dataDirectory.string, "-l", log.string, "-o",
          "-c unix_socket_directories=\(place.path) -c log_min_messages=info",
        ])
    } catch {
      throw Trouble("\(error)\n\((try? Tool.demand("cat", log.string)) ?? "")")
    }
  }

  deinit {
    _ = try? cluster.run(
      "pg_ctl", ["stop", "-w", "-s", "-m", "immediate", "-D", dataDirectory.string])
  }

  /// Runs a statement; returns its first value.
  public func sql(_ statement: String) throws -> String {
    let target = ConnectionTarget(
      parameters: ["host": place.path.string, "port": "5432", "user": cluster.owner],
      databases: ["postgres"])
    let session = try Session.open(target)
    _ = try session.query("SELECT pg_catalog.set_config('search_path', 'public', false)")
    let rows = try session.query(statement)
    guard let row = rows.first, let column = rows.columns.first else { return "" }
    return try row.optionalString(column) ?? ""
  }
}
