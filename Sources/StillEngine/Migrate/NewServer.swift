import Glibc
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
  /// Starts it, and has it give a proof. A cancellation counts until it has answered.
  ///
  /// - Throws: `.postgres` where it does not come up; the reason of a cancellation.
  func start(_ observer: any Observer, _ cancellation: Cancellation, _ proof: Proof) throws
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

  func start(_ observer: any Observer, _ cancellation: Cancellation, _ proof: Proof) throws {
    let directory = try DataDirectory.open(FilePath(server.dataDirectory))
    let (session, _) = try server.ensureUp(
      units: nil, checkpoint: { if !proof.isAnswered { try cancellation.checkpoint() } },
      notice: observer.noticed
    ) { postmaster in
      let session = try Session.open(ConnectionTarget(postmaster: postmaster))
      try session.requireServing(directory)
      try proof.demand(session.value)
      return session
    }
    _ = try? session.query("SET synchronous_commit = local", within: .seconds(30))
    proof.tidy(session.value, observer)
  }

  func stop(within limit: Double) throws {
    guard try FileMetadata.ifPresent(at: FilePath(server.dataDirectory)) != nil else { return }
    let folder = try server.folder
    guard let postmaster = try Postmaster.running(in: folder) else { return }
    do {
      try server.stop(postmaster, within: limit, units: nil, lifeline: nil)
    } catch {
      // However it went down, its data is void.
      if try Postmaster.running(in: folder) != nil { throw error }
    }
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
  /// Where it is found; nil to ask it over there.
  let connection: ConnectionTarget?
  /// Who asks over there, and in which database.
  let role: String
  let database: String

  /// Seconds for a server to show itself after the command that starts it is done, and for that command.
  private static let patience = 120.0
  private static let longestStart = 3600.0

  func start(_ observer: any Observer, _ cancellation: Cancellation, _ proof: Proof) throws {
    // Whatever the command leaves behind must not hold ssh's output open, and may go on writing to it.
    let starter = try shell.begin(
      """
      log=$(mktemp) || exit 1
      /bin/sh -c "$1" </dev/null >"$log" 2>&1; status=$?; cat "$log"; [ -s "$log" ] || rm -f "$log"
      exit $status
      """, [startLine])
    defer { starter.end() }
    var watch = Stopwatch()
    var isStarting = true
    while true {
      do {
        let ask = try question(proof.isAnswered ? Cancellation() : cancellation)
        try proof.demand(ask)
        proof.tidy(ask, observer)
        return try finish(starter, observer)
      } catch var failure as StillError {
        if !proof.isAnswered { try cancellation.checkpoint() }
        if isStarting, let answer = try starter.answer() {
          isStarting = false
          watch = Stopwatch()
          guard answer.status == 0 else {
            throw StillError(
              .postgres,
              "the new server could not be started on \(shell.host): \(startLine) ended with status "
                + "\(answer.status): \(answer.text)")
          }
        }
        // The command may wait for a recovery, or warm a cache.
        let limit = isStarting ? RemoteServer.longestStart : RemoteServer.patience
        if failure.status == .precondition || watch.seconds > limit {
          failure.status = .postgres
          throw failure
        }
      }
      Clock.sleep(milliseconds: 50)
    }
  }

  /// The command may have more to do after the start; a server in the foreground stays.
  private func finish(_ starter: RemoteShell.Job, _ observer: any Observer) throws {
    let watch = Stopwatch()
    while watch.seconds < 10 {
      if let answer = try? starter.answer() {
        if answer.status != 0 {
          observer.noticed(
            "the new server serves, but \(startLine) ended with status \(answer.status): \(answer.text)"
          )
        }
        return
      }
      Clock.sleep(milliseconds: 20)
    }
    observer.noticed("the new server serves; \(startLine) is still at work on \(shell.host)")
  }

  private func question(_ cancellation: Cancellation) throws -> Question {
    if let connection {
      let session = try Session.open(connection)
      _ = try session.query("SET synchronous_commit = local", within: .seconds(30))
      return session.value
    }
    return { sql in
      // The port and the folder of the socket stand in the fourth and fifth line (pidfile.h). What
      // psql says on stderr, such as a warning of collations, is no answer.
      let answer = try shell.run(
        """
        { read -r p; read -r d; read -r t; read -r port; read -r folder; } 2>/dev/null \
          <"$1/postmaster.pid" || exit 1
        export PGOPTIONS='-c synchronous_commit=local'
        exec "$2/psql" -XAtq -v ON_ERROR_STOP=1 -h "$folder" -p "$port" -U "$3" -d "$4" -c "$5"
        """, [dataDirectory, programs, role, database, sql], cancellation)
      guard answer.status == 0 else {
        throw StillError(.postgres, "the new server does not answer: \(answer.complaint)")
      }
      return answer.text
    }
  }

  func stop(within limit: Double) throws {
    let files = RemoteFiles(shell: shell)
    guard try files.server(of: dataDirectory) != nil else { return }
    // It may end by itself meanwhile: only whether it is there counts. Its data is void, so it may end
    // in any way.
    _ = try? shell.run(
      "exec \"$1/pg_ctl\" stop -D \"$2\" -m fast -w -t \"$3\"",
      [programs, dataDirectory, String(Int(limit.rounded(.up)))], limit: limit + 10)
    for signal in [SIGQUIT, SIGKILL] {
      guard let process = try files.server(of: dataDirectory) else { return }
      _ = try? shell.run("kill -\"$1\" \"$2\"", [String(signal), String(process)])
      let watch = Stopwatch()
      while watch.seconds < 10 {
        if try files.server(of: dataDirectory) == nil { return }
        Clock.sleep(milliseconds: 200)
      }
    }
    guard try files.server(of: dataDirectory) == nil else {
      throw StillError(.postgres, "the new server on \(shell.host) does not stop")
    }
  }
}
