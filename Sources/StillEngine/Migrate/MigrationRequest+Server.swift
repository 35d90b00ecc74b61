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
      return LocalServer(
        server: try server.moved(
          to: FilePath(path), startCommand: startCommand, of: cluster.directory))
    case .ssh(let host, _):
      let shell = RemoteShell(host: host, words: remoteShell)
      let programs = try (programs ?? server.programs(of: cluster.directory)).string
      try requireSameMachine(shell, programs, cluster)
      let start =
        try startCommand
        ?? server.moved(
          to: FilePath(path), startCommand: nil, of: cluster.directory
        ).control.startLine
      return RemoteServer(
        shell: shell, startLine: start, dataDirectory: path, programs: programs,
        connection: ConnectionTarget(
          parameters: [:],
          databases: [connection ?? defaultConnection(host, cluster)]))
    case .daemon: return nil
    }
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
      module: MigrationTarget.daemon(host: host, port: port, module: module, path: "").description,
      root: moduleFolder)
    _ = try files.names(in: moduleFolder.string)
    return (files, moduleFolder.pushing(FilePath(path)).string)
  }

  private func defaultConnection(_ host: String, _ cluster: LiveCluster) -> String {
    let name = host.split(separator: "@").last ?? ""
    let port = cluster.target.parameters["port"].map { " port=\($0)" } ?? ""
    return "host=\(name)\(port) dbname=postgres"
  }

  /// A data directory is of one architecture and one major version.
  private func requireSameMachine(
    _ shell: RemoteShell, _ programs: String, _ cluster: LiveCluster
  ) throws {
    let answer = try shell.run("uname -m; exec \"$1/postgres\" --version 2>&1", [programs])
    let lines = answer.text.split(whereSeparator: \.isNewline).map(String.init)
    let own = try Errand(["/bin/uname", "-m"], environment: [:])
    own.wait(atMost: 10)
    guard let machine = lines.first, machine == own.firstLine else {
      throw StillError(
        .precondition,
        "\(shell.host) is \(lines.first ?? "of no known kind"), and this host "
          + "\(own.firstLine): the files of a cluster are of one architecture",
        hint: "Move it with pg_dump, or logical replication.")
    }
    // `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`
    let version = lines.dropFirst().first?.split(separator: " ").dropFirst(2).first ?? ""
    let major = Int(version.prefix { $0.isNumber })
    guard answer.status == 0, major == cluster.facts.majorVersion else {
      throw StillError(
        .precondition,
        "\(shell.host) has \(major.map { "PostgreSQL \($0)" } ?? "no server program") in "
          + "\(programs), and the cluster is of PostgreSQL \(cluster.facts.majorVersion)",
        hint: "Install that version there, or say where it is: --target-programs.")
    }
  }
}
