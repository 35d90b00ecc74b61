import StillModel
import StillPostgres
import StillSystem
import StillTransfer
import SystemPackage

extension MigrationRequest {
  /// The new server, as it is started and found; nil where somebody else starts it.
  ///
  /// - Throws: `.precondition` where it is not certain how it is started, or it cannot run there.
  func newServer(
    of cluster: LiveCluster, _ server: ServerSwitch, at path: String
  ) throws -> (any NewServer)? {
    guard startsServer, !isRehearsal else { return nil }
    switch target {
    case .folder:
      // It would end with us.
      try ServerSwitch.requireLastingPlace()
      let programs = try server.programs(of: cluster.directory)
      return LocalServer(
        server: try startCommand.map {
          try server.moved(to: FilePath(path), startedBy: $0, programs: programs)
        } ?? server.moved(to: FilePath(path), programs: programs))
    case .ssh(let host, _):
      let shell = RemoteShell(host: host, words: remoteShell)
      let programs = try (programs ?? server.programs(of: cluster.directory)).string
      let database = try cluster.session.value("SELECT pg_catalog.current_database()")
      let start =
        try startCommand
        ?? server.moved(to: FilePath(path), programs: FilePath(programs)).control.startLine
      return RemoteServer(
        shell: shell, startLine: start, dataDirectory: path, programs: programs,
        connection: connection.map { MigrationRequest.target($0, database) },
        role: cluster.facts.role.name, database: database)
    case .daemon: return nil
    }
  }

  /// Where somebody says that the new server is, in the database that the proof was left in.
  private static func target(_ connection: String, _ database: String) -> ConnectionTarget {
    let quoted = database.replacing("\\", with: "\\\\").replacing("'", with: "\\'")
    // What is said later counts.
    return ConnectionTarget(
      parameters: [:],
      databases: [connection.contains("://") ? connection : "dbname='\(quoted)' \(connection)"])
  }

  /// - Returns: the daemon's files, and the new data directory as its own host calls it.
  func daemon(
    _ host: String, _ port: Int?, _ module: String, _ path: String
  ) throws -> (DaemonFiles, String) {
    guard let moduleFolder else {
      throw StillError(
        .usage, "a daemon does not say where its module \(module) lies",
        hint: "Links to tablespaces need that: --module-dir DIR, as the other host calls it.")
    }
    guard !startsServer || isRehearsal else {
      throw StillError(
        .usage, "a daemon starts no server",
        hint: "Start the new one yourself: --no-start. Or move to HOST:DIR, by ssh.")
    }
    let files = DaemonFiles(
      rsync: try Rsync.find(),
      module: Destination.daemon(host: host, port: port, module: module, path: "").description,
      root: moduleFolder)
    _ = try files.names(in: moduleFolder.string)
    return (files, moduleFolder.pushing(FilePath(path)).string)
  }
}
