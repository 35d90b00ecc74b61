import StillModel
import StillPostgres
import StillSystem
import SystemPackage

/// A running cluster: its data directory, a connection to its server, and where its files are.
struct LiveCluster {
  let directory: DataDirectory
  let session: Session
  let target: ConnectionTarget
  let facts: ServerFacts
  let layout: ClusterLayout
  /// Where the kernel tells of devices.
  let sysfs: FilePath

  /// - Throws: `.precondition` where there is no cluster or no server, `.postgres` where the server
  ///   refuses.
  static func discover(_ path: FilePath, _ discovery: LayoutDiscovery) throws -> LiveCluster {
    let directory = try DataDirectory.open(path)
    guard let postmaster = try Postmaster.running(in: directory.folder) else {
      throw StillError(
        .precondition, "no server is running on \(path)",
        hint: "Start it (pg_ctl start, or its systemd unit), or give another --pgdata.")
    }
    let target = ConnectionTarget(postmaster: postmaster)
    let session = try Session.open(target)
    // First the rights, for without them the server does not even say what it serves.
    let facts = try session.facts()
    try session.requireServing(directory)
    let layout = try discovery.layout(of: path, versionFolder: directory.tablespaceFolder)
    return LiveCluster(
      directory: directory, session: session, target: target, facts: facts, layout: layout,
      sysfs: discovery.sysfs)
  }

  /// Another session with the same server.
  func newSession() throws -> Session {
    let session = try Session.open(target)
    try session.requireServing(directory)
    return session
  }

  /// Lets the server write what is only in its memory; that may take minutes.
  func checkpoint(_ cancellation: Cancellation) throws {
    let canceller = session.canceller
    try cancellation.interrupting({ canceller.cancel() }) { try session.checkpoint() }
  }

  /// The cluster's folder in the repository, where none is named: `cluster_name`, which Debian sets
  /// to `15/main`, else the data directory's own name.
  var standardName: String {
    let name =
      facts.clusterName.isEmpty
      ? FilePath(layout.dataDirectory.path).lastComponent?.string ?? "cluster" : facts.clusterName
    let kept = name.map { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") ? $0 : "-" }
    let trimmed = String(String(kept).trimmingPrefix { $0 == "-" })
    return trimmed.isEmpty ? "cluster" : trimmed
  }

  /// The files of configuration that no archive of the data directory holds. Debian's own folder of
  /// a cluster is taken whole, for the server does not know of all that lies there.
  func outsideConfiguration() -> [String] {
    let inside = FilePath(layout.dataDirectory.path)
    var files = Set(facts.configuration.files.filter { !FilePath($0).starts(with: inside) })
    let home = FilePath(facts.configuration.configFile).removingLastComponent()
    if !home.starts(with: inside),
      home.components.map(\.string).prefix(2) == ["etc", "postgresql"],
      home.components.count == 4, let folder = try? OpenFolder.open(home)
    {
      for name in (try? folder.names()) ?? [] {
        if (try? folder.metadata(of: name).kind) == .file {
          files.insert(home.appending(name.components).string)
        }
      }
    }
    return files.sorted()
  }
}
