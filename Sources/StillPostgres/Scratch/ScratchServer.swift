import Glibc
import StillModel
import StillSystem
import SystemPackage

/// A server on a restored copy, for questions only. It has a socket in a folder of its own, and no
/// port; see `ScratchSettings` for what it does not do.
public final class ScratchServer {
  /// Names the socket only.
  static let port = 5432

  public let programs: ServerPrograms
  public let dataDirectory: FilePath
  private let place: FilePath
  private let roles: [String]
  private let workers: Int
  private let child: Child
  private var endStatus: Int32?
  private var role: String?
  private var log: FilePath { place.appending("log") }
  private let socketFolder: FilePath

  /// Makes the folder a plain primary's, with a configuration of ours, and starts a server on it.
  ///
  /// - Parameters:
  ///   - place: an empty folder for socket, configuration and log.
  ///   - configuration: the file that the backup's server had as its `config_file`; nil for the one
  ///     in the data directory.
  ///   - roles: that may be a superuser's, tried in this order.
  ///   - workers: connections that check at once.
  ///   - notice: told of what is not as it was.
  public init(
    _ programs: ServerPrograms, on dataDirectory: FilePath, in place: FilePath,
    configuration: FilePath?, roles: [String], workers: Int, notice: (String) -> Void
  ) throws {
    self.programs = programs
    self.dataDirectory = dataDirectory
    self.place = place
    self.roles = roles
    self.workers = workers
    let folder = try OpenFolder.open(place)
    let data = try OpenFolder.open(dataDirectory)
    socketFolder = try SocketFolder.make(in: folder)

    let libraries = ScratchServer.preloadedLibraries(
      programs, dataDirectory, configuration ?? dataDirectory.appending("postgresql.conf"), notice)
    // A standby's or a recovery's, and what was set by ALTER SYSTEM, which would count more than
    // our file.
    for name: FilePath in [
      "standby.signal", "recovery.signal", "recovery.conf", "postgresql.auto.conf",
    ] where try data.metadataIfPresent(of: name) != nil { try data.remove(name) }

    let settings = ScratchSettings(
      major: programs.major, dataDirectory: dataDirectory, socketFolder: socketFolder,
      hostRules: place.appending("hba.conf"), userMap: place.appending("ident.conf"),
      preloadedLibraries: libraries, limits: try DataDirectory.readControlFile(data).limits,
      workers: workers)
    let owner = Account.of(user: Account.effectiveUser)?.name ?? ""
    let map = roles.map { "proof \"\(owner)\" \"\($0)\"\n" }.joined()
    for (name, text) in [
      ("postgresql.conf", settings.text), ("hba.conf", "local all all peer map=proof\n"),
      ("ident.conf", map),
    ] {
      let file = try folder.file(FilePath(name), .create(permissions: 0o600))
      try file.writeAll(Array(text.utf8))
      try file.close()
    }
    child = try Child.start(
      programs.program("postgres"),
      ["-D", dataDirectory.string, "-c", "config_file=\(place.appending("postgresql.conf"))"],
      environment: programs.environment, input: .open("/dev/null"),
      output: folder.file("log", .create(permissions: 0o600)))
  }

  deinit { end() }

  /// The value that the backup's own configuration gives `shared_preload_libraries`; the server's
  /// program reads it, with all that is included. Pages of some access methods, and records of some
  /// WAL, are read by such libraries only.
  private static func preloadedLibraries(
    _ programs: ServerPrograms, _ dataDirectory: FilePath, _ configuration: FilePath,
    _ notice: (String) -> Void
  ) -> String {
    let setting = "shared_preload_libraries"
    do {
      let errand = try Errand(
        [
          programs.program("postgres"), "-C", setting, "-D", dataDirectory.string, "-c",
          "config_file=\(configuration)", "-c", "data_directory=\(dataDirectory)", "-c",
          "log_min_messages=fatal",
        ], environment: programs.environment)
      guard errand.wait(atMost: 60) == 0 else { throw StillError(.postgres, errand.failure) }
      return errand.words
    } catch {
      notice("the server starts without \(setting), which cannot be read: \(error)")
      return ""
    }
  }

  // MARK: Waiting

  /// Returns when the server has replayed all WAL and takes connections.
  ///
  /// - Throws: `.postgres` where it ends instead, with the last lines of its log; `.precondition` where
  ///   that is for want of a library, or of something else on this host.
  public func waitUntilReady(_ cancellation: Cancellation) throws {
    let data = try OpenFolder.open(dataDirectory)
    while true {
      try cancellation.checkpoint()
      if let status = status {
        throw missingLibrary() ?? hostTrouble()
          ?? failure("the server did not start (exit status \(status))")
      }
      if let postmaster = try? Postmaster.running(in: data), postmaster.processID == child.process,
        postmaster.status == "ready"
      {
        return
      }
      Clock.sleep(milliseconds: 50)
    }
  }

  private var status: Int32? {
    if endStatus == nil { endStatus = child.statusIfEnded() }
    return endStatus
  }

  /// A failure with what the server said.
  public func failure(_ message: String) -> StillError {
    var failure = StillError(.postgres, message)
    failure.further = logLines().suffix(8).map { "server: \($0)" }
    return failure
  }

  /// Why it cannot be tried on this host, where these lines or the server's log say so.
  public func hostTrouble(_ lines: [String] = []) -> StillError? {
    HostTrouble.find(in: lines + logLines())
  }

  /// The end of its log.
  private func logLines() -> [String] {
    guard let file = try? OpenFile.open(log), let size = try? file.metadata().size else {
      return []
    }
    let start = size > 65536 ? size - 65536 : 0
    var bytes = [UInt8](repeating: 0, count: Int(size - start))
    let count = (try? bytes.withUnsafeMutableBytes { try file.readFully(into: $0, at: start) }) ?? 0
    return String(decoding: bytes[..<count], as: UTF8.self).split(whereSeparator: \.isNewline)
      .map(String.init)
  }

  /// `load_libraries` of miscinit.c is what ends a start like this.
  private func missingLibrary() -> StillError? {
    let before = "could not access file \""
    for line in logLines() where line.contains("FATAL:") {
      guard let range = line.firstRange(of: before) else { continue }
      let library = line[range.upperBound...].prefix { $0 != "\"" }
      return StillError(
        .precondition,
        "the backup's server has \(library) in shared_preload_libraries, which is not installed for "
          + "PostgreSQL \(programs.major) on this host",
        hint: "Install it here too.")
    }
    return nil
  }

  // MARK: Asking

  /// Connects as the superuser.
  ///
  /// - Throws: `.postgres` where none of the roles can.
  public func session(_ database: String) throws -> Session {
    var first: (any Error)?
    for role in role.map({ [$0] }) ?? roles {
      do {
        let session = try Session.open(
          ConnectionTarget(parameters: parameters(role), databases: [database]))
        let row = try session.query(
          "SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user"
        ).single()
        guard try row.flag("rolsuper") else {
          throw StillError(.postgres, "role \(role) is no superuser")
        }
        self.role = role
        return session
      } catch {
        first = first ?? error
      }
    }
    // A role that does not exist, or may not log in: that is not the backup's fault.
    if role == nil, let refusal = first as? StillError, refusal.message.contains("(SQLSTATE 28") {
      throw StillError(
        .precondition,
        "no superuser of the cluster is known; tried \(roles.joined(separator: ", "))",
        hint: "Set PGUSER to the name of one that may log in.")
    }
    throw first ?? StillError(.postgres, "no role to connect as is named")
  }

  private func parameters(_ role: String) -> [String: String] {
    [
      "host": socketFolder.string, "port": "\(ScratchServer.port)", "user": role,
      "options": sessionOptions,
    ]
  }

  /// Over what ALTER DATABASE and ALTER ROLE say.
  private var sessionOptions: String {
    var settings = [
      "statement_timeout=0", "lock_timeout=0", "idle_in_transaction_session_timeout=0",
      "default_transaction_read_only=off", "session_preload_libraries=", "local_preload_libraries=",
    ]
    if programs.major >= 14 { settings.append("idle_session_timeout=0") }
    if programs.major >= 17 { settings.append("transaction_timeout=0") }
    return settings.map { "-c \($0)" }.joined(separator: " ")
  }

  /// Runs pg_amcheck over every table and btree index of every database.
  ///
  /// - Returns: what it found, a line each; empty where all is well.
  public func checkRelations(_ cancellation: Cancellation) throws -> [String] {
    let words = [
      "--all", "--heapallindexed", "--jobs", "\(workers)", "--host", socketFolder.string, "--port",
      "\(ScratchServer.port)", "--username", role ?? roles.first ?? "", "--no-password",
    ]
    var environment = programs.environment
    environment["PGOPTIONS"] = sessionOptions
    let outcome = try run("pg_amcheck", words, environment, cancellation)
    let findings = Amcheck.findings(outcome.text)
    switch outcome.status {
    case 0: return findings
    // What it says with 2 is what it found; anything else is its own failure.
    case 2 where !findings.isEmpty: return findings
    default: return findings + ["pg_amcheck ended with status \(outcome.status)"]
    }
  }

  /// Compares every page of the stopped server's files with its checksum.
  ///
  /// - Returns: what is wrong, a line each.
  public func checkPages(_ cancellation: Cancellation) throws -> [String] {
    let name = programs.major >= 12 ? "pg_checksums" : "pg_verify_checksums"
    let outcome = try run(
      name, ["-D", dataDirectory.string], programs.environment, cancellation)
    if outcome.status == 0 { return [] }
    let lines = outcome.text.split(whereSeparator: \.isNewline).map(String.init)
    let bad = lines.filter { $0.contains("checksum verification failed") }
    return bad.isEmpty ? ["\(name) ended with status \(outcome.status)"] + lines.suffix(4) : bad
  }

  private func run(
    _ name: String, _ words: [String], _ environment: [String: String],
    _ cancellation: Cancellation
  ) throws -> (status: Int32, text: String) {
    let path = place.appending(name)
    let child = try Child.start(
      programs.program(name), words, environment: environment, input: .open("/dev/null"),
      output: .open(path, .create(permissions: 0o600)))
    while true {
      if let status = child.statusIfEnded() {
        // Damage everywhere says the same over and over.
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let file = try OpenFile.open(path)
        let count = try bytes.withUnsafeMutableBytes { try file.readFully(into: $0) }
        return (status, String(decoding: bytes[..<count], as: UTF8.self))
      }
      do { try cancellation.checkpoint() } catch {
        child.signalGroup(SIGKILL)
        _ = child.wait()
        throw error
      }
      Clock.sleep(milliseconds: 20)
    }
  }

  // MARK: Ending

  /// Ends the server that a killed process has left, and removes what it has outside of its folders.
  ///
  /// - Parameters:
  ///   - dataDirectory: its own.
  ///   - place: as it was started with.
  /// - Throws: `.failed` where it does not go away.
  public static func endLeftover(on dataDirectory: OpenFolder?, in place: OpenFolder?) throws {
    if let dataDirectory { try Postmaster.endLeftover(in: dataDirectory) }
    if let place { try SocketFolder.remove(of: place) }
  }

  /// Stops the server in order.
  ///
  /// - Throws: `.postgres` where it does not end well: its last checkpoint writes every changed page.
  public func stop(_ cancellation: Cancellation) throws {
    kill(child.process, SIGINT)
    while status == nil {
      try cancellation.checkpoint()
      Clock.sleep(milliseconds: 20)
    }
    if let status, status != 0 { throw failure("the server did not stop in order (\(status))") }
  }

  /// Ends it, whatever it does. Does nothing for one that has ended.
  public func end() {
    defer { if let place = try? OpenFolder.open(place) { try? SocketFolder.remove(of: place) } }
    guard status == nil else { return }
    kill(child.process, SIGQUIT)
    let watch = Stopwatch()
    while status == nil, watch.seconds < Postmaster.endPatience { Clock.sleep(milliseconds: 10) }
    if status == nil {
      child.signalGroup(SIGKILL)
      endStatus = child.wait()
    }
  }
}
