import StillModel
import StillPostgres
import StillSystem
import StillTransfer
import SystemPackage

/// The server that takes the place of the old one.
protocol NewServer {
  /// What a person would type to start it.
  var startLine: String { get }
  /// Where its clients find it; nil for where they found the old one.
  var connection: ConnectionTarget? { get }
  /// Starts it and proves that it serves: `prove` throws as long as a session gives no proof.
  ///
  /// - Throws: `.postgres` where it does not come up.
  func start(_ observer: any Observer, prove: (Session) throws -> Void) throws
  /// Stops it, if it runs.
  ///
  /// - Parameter limit: in seconds.
  /// - Throws: where it may run on: then the old one must not be started.
  func stop(within limit: Double) throws
}

/// On this host.
struct LocalServer: NewServer {
  let server: ServerSwitch

  var startLine: String { server.control.startLine }
  var connection: ConnectionTarget? { nil }

  func start(_ observer: any Observer, prove: (Session) throws -> Void) throws {
    let directory = try DataDirectory.open(FilePath(server.dataDirectory))
    _ = try server.ensureUp(units: nil, notice: observer.noticed) { postmaster in
      let session = try Session.open(ConnectionTarget(postmaster: postmaster))
      try session.requireServing(directory)
      try prove(session)
    }
  }

  func stop(within limit: Double) throws {
    guard let folder = try? server.folder, let postmaster = try Postmaster.running(in: folder)
    else { return }
    try server.stop(postmaster, within: limit, units: nil, lifeline: nil)
  }
}

/// On another host, started over ssh.
struct RemoteServer: NewServer {
  let shell: RemoteShell
  /// Run by /bin/sh over there.
  let startLine: String
  let dataDirectory: String
  /// Where the programs are over there.
  let programs: String
  let connection: ConnectionTarget?

  /// Seconds for a server to show itself after the command that starts it is done.
  private static let patience = 120.0

  func start(_ observer: any Observer, prove: (Session) throws -> Void) throws {
    let answer = try shell.run("exec 2>&1; " + startLine)
    guard answer.status == 0 else {
      throw StillError(
        .postgres,
        "the new server could not be started on \(shell.host): \(startLine) ended with status "
          + "\(answer.status): \(answer.text)")
    }
    guard let connection else { return }
    let watch = Stopwatch()
    while true {
      do { return try prove(Session.open(connection)) } catch var failure as StillError {
        if failure.status == .precondition || watch.seconds > RemoteServer.patience {
          failure.status = .postgres
          throw failure
        }
      }
      Clock.sleep(milliseconds: 50)
    }
  }

  func stop(within limit: Double) throws {
    let files = RemoteFiles(shell: shell)
    guard try files.server(of: dataDirectory) != nil else { return }
    try shell.demand(
      "exec \"$1/pg_ctl\" stop -D \"$2\" -m fast -w -t \"$3\"",
      [programs, dataDirectory, String(Int(limit.rounded(.up)))])
    guard try files.server(of: dataDirectory) == nil else {
      throw StillError(.postgres, "the new server on \(shell.host) does not stop")
    }
  }
}
