import FoundationEssentials
import Glibc
import StillModel
import StillPostgres
import StillSystem
import SystemPackage

/// A real cluster in a folder of its own below /tmp, for one test: no TCP, a socket in its folder,
/// everybody trusted. Ended and removed when it is dropped, and also when the test's process dies.
public final class ThrowAwayCluster: @unchecked Sendable {
  /// Holds everything: `data`, the socket, tablespaces, the log.
  public let folder: FilePath
  public var dataDirectory: FilePath { folder.appending("data") }
  public var log: FilePath { folder.appending("log") }
  /// Where the programs are.
  public let programs: FilePath
  /// The socket's number; no TCP port is opened.
  public let port = 5432
  /// The operating system's user that the server runs as, and its superuser.
  public let owner: String
  /// Holds the watcher's standard input open.
  private let leash: Int32
  private let watcher: pid_t

  /// Makes a cluster, and starts it unless told otherwise.
  ///
  /// - Parameters:
  ///   - settings: for postgresql.conf, beside those that keep a test's server small.
  ///   - initdb: further arguments, for example `--data-checksums`, `--wal-segsize=1`.
  ///   - programs: of another version than the newest that is installed.
  ///   - isStarted: false leaves it stopped.
  /// - Throws: `Trouble` with what the program said.
  public init(
    settings: [String: String] = [:], initdb: [String] = [], programs: FilePath? = nil,
    isStarted: Bool = true
  ) throws {
    self.programs = try programs ?? ThrowAwayCluster.findPrograms()
    owner = ThrowAwayCluster.standardOwner
    folder = try ThrowAwayCluster.makeFolder(owner)
    (watcher, leash) = try ThrowAwayCluster.startWatcher(folder, self.programs)

    try run(
      "initdb",
      [
        "-D", dataDirectory.string, "-U", owner, "--auth=trust", "-N", "--encoding=UTF8",
        "--no-locale",
      ] + initdb)
    var all = [
      "listen_addresses": "''", "unix_socket_directories": "'\(folder)'", "port": "\(port)",
      "max_connections": "20", "shared_buffers": "16MB", "dynamic_shared_memory_type": "mmap",
      "fsync": "off", "log_min_messages": "warning",
    ]
    all.merge(settings) { $1 }
    try append(all)
    if isStarted { try start() }
  }

  /// Makes a standby of a cluster, and starts it; it streams.
  ///
  /// - Parameters:
  ///   - primary: which has to run for as long as the standby shall follow it.
  ///   - settings: for postgresql.conf, beside the primary's.
  ///   - tablespaces: those of the primary; the standby has each in a folder of its own.
  public init(
    standbyOf primary: ThrowAwayCluster, settings: [String: String] = [:],
    tablespaces: [FilePath] = []
  ) throws {
    programs = primary.programs
    owner = primary.owner
    folder = try ThrowAwayCluster.makeFolder(owner)
    (watcher, leash) = try ThrowAwayCluster.startWatcher(folder, programs)
    let places = tablespaces.enumerated().flatMap { index, old in
      ["--tablespace-mapping", "\(old)=\(folder)/space-\(index)"]
    }
    try run(
      "pg_basebackup",
      [
        "-D", dataDirectory.string, "-R", "-X", "stream", "-c", "fast", "-h",
        primary.folder.string, "-p", "\(primary.port)", "-U", owner,
      ] + places)
    var all = ["unix_socket_directories": "'\(folder)'"]
    all.merge(settings) { $1 }
    try append(all)
    try start()
  }

  private static var standardOwner: String {
    geteuid() == 0 ? "postgres" : ProcessInfo.processInfo.userName
  }

  private static func makeFolder(_ owner: String) throws -> FilePath {
    var template = Array("/tmp/still-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw Trouble("mkdtemp: errno \(errno)") }
    let folder = FilePath(platformString: template)
    if geteuid() == 0 {
      guard let entry = getpwnam(owner) else { throw Trouble("there is no user \(owner)") }
      chown(folder.string, entry.pointee.pw_uid, entry.pointee.pw_gid)
    }
    chmod(folder.string, 0o755)
    return folder
  }

  deinit {
    close(leash)
    var status: Int32 = 0
    while waitpid(watcher, &status, 0) < 0, errno == EINTR {}
  }

  /// Writes settings at the end of postgresql.conf; they count from the next start or reload.
  public func append(_ settings: [String: String]) throws {
    let text = settings.sorted { $0.key < $1.key }.map { "\($0.key) = \($0.value)\n" }.joined()
    let folder = try OpenFolder.open(dataDirectory)
    let old = try folder.file("postgresql.conf").readAll()
    let file = try folder.file("postgresql.conf", .update(permissions: 0o600))
    try file.writeAll(old + Array(text.utf8))
    try file.close()
  }

  public func start() throws {
    try run("pg_ctl", ["start", "-w", "-s", "-D", dataDirectory.string, "-l", log.string])
  }

  /// - Parameter mode: `smart`, `fast` or `immediate` of pg_ctl.
  /// - Throws: `Trouble` where no server runs, or it does not stop.
  public func stop(_ mode: String = "fast") throws {
    try run("pg_ctl", ["stop", "-w", "-s", "-m", mode, "-D", dataDirectory.string])
  }

  public func promote() throws {
    try run("pg_ctl", ["promote", "-w", "-s", "-D", dataDirectory.string])
  }

  public func target(user: String? = nil, database: String = "postgres") -> ConnectionTarget {
    ConnectionTarget(
      parameters: ["host": folder.string, "port": "\(port)", "user": user ?? owner],
      databases: [database])
  }

  public func session(user: String? = nil, database: String = "postgres") throws -> Session {
    try Session.open(target(user: user, database: database))
  }

  /// Runs statements one by one in one session, with the usual search path; returns the first value
  /// of the last, empty where there is none.
  @discardableResult
  public func sql(_ statements: String...) throws -> String {
    let session = try session()
    _ = try session.query("SELECT pg_catalog.set_config('search_path', 'public', false)")
    var rows: Rows?
    for statement in statements { rows = try session.query(statement) }
    guard let rows, let row = rows.first, let column = rows.columns.first else { return "" }
    return try row.optionalString(column) ?? ""
  }

  /// Makes a tablespace in a folder beside the data directory.
  @discardableResult
  public func makeTablespace(_ name: String) throws -> FilePath {
    let place = folder.appending("space-" + name)
    try runAsOwner("/bin/mkdir", ["-m", "700", place.string])
    try sql("CREATE TABLESPACE \(name) LOCATION '\(place)'")
    return place
  }

  /// Runs one of PostgreSQL's programs as the owner; returns what it printed, both streams.
  @discardableResult
  public func run(_ program: String, _ arguments: [String]) throws -> String {
    try runAsOwner(programs.appending(program).string, arguments)
  }

  /// Runs any program as the owner of the cluster.
  @discardableResult
  public func runAsOwner(_ path: String, _ arguments: [String]) throws -> String {
    let words = ThrowAwayCluster.asOwner(owner) + [path] + arguments
    let output = folder.appending(".output-\(UInt32.random(in: 0...UInt32.max))")
    defer { unlink(output.string) }
    let id = try Child.spawn(words, input: nil, output: output.string)
    let status = Child.wait(id)
    let text = String(
      decoding: (try? OpenFile.open(output).readAll()) ?? [], as: UTF8.self)
    guard status == 0 else {
      throw Trouble("\(path) \(arguments.joined(separator: " ")) ended with \(status): \(text)")
    }
    return text
  }

  // MARK: Parts

  /// PGSTILL_PG_BIN, else the newest version below /usr/lib/postgresql, else pg_config's.
  public static func findPrograms() throws -> FilePath {
    if let given = ProcessInfo.processInfo.environment["PGSTILL_PG_BIN"] { return FilePath(given) }
    let versions: FilePath = "/usr/lib/postgresql"
    let names = (try? OpenFolder.open(versions).names()) ?? []
    for number in names.compactMap({ Int($0.string) }).sorted(by: >) {
      let bin = versions.appending("\(number)").appending("bin")
      if access(bin.appending("initdb").string, X_OK) == 0 { return bin }
    }
    let output = FilePath("/tmp/still-pg_config-\(getpid())")
    defer { unlink(output.string) }
    let id = try Child.spawn(
      ["/usr/bin/env", "pg_config", "--bindir"], input: nil, output: output.string)
    guard Child.wait(id) == 0,
      let line = String(decoding: try OpenFile.open(output).readAll(), as: UTF8.self)
        .split(separator: "\n").first
    else { throw Trouble("no PostgreSQL programs found; set PGSTILL_PG_BIN") }
    return FilePath(String(line))
  }

  /// The programs of one major version: Debian's, else those that scripts/servers has fetched; nil
  /// where there are none.
  public static func programs(ofVersion major: Int) -> FilePath? {
    let fetched = FilePath(#filePath).removingLastComponent().pushing("../../.build/servers")
    return [
      FilePath("/usr/lib/postgresql/\(major)/bin"), fetched.appending("\(major)").appending("bin"),
    ].map { $0.lexicallyNormalized() }.first {
      access($0.appending("postgres").string, X_OK) == 0
    }
  }

  private static func asOwner(_ owner: String) -> [String] {
    geteuid() == 0
      ? ["/usr/bin/setpriv", "--reuid=\(owner)", "--regid=\(owner)", "--init-groups", "--"] : []
  }

  /// A process of its own session that waits for the end of its input, which comes when this process
  /// closes it or dies in whatever way, and then ends the server and removes the folder.
  private static func startWatcher(_ folder: FilePath, _ programs: FilePath) throws -> (
    pid_t, Int32
  ) {
    var ends: [Int32] = [0, 0]
    // Close-on-exec from the start: a child that inherits the leash would hold it when we die.
    let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
    guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else {
      throw Trouble("socketpair: \(StillError.reason(errno))")
    }
    let owner = geteuid() == 0 ? "setpriv --reuid=postgres --regid=postgres --init-groups --" : ""
    let script = """
      cat >/dev/null
      cd /
      if [ -e "$1/data/postmaster.pid" ]; then
        \(owner) "$2/pg_ctl" stop -s -w -m immediate -D "$1/data" || kill -9 "$(head -n1 "$1/data/postmaster.pid")"
      fi
      rm -rf "$1"
      """
    let id = try Child.spawn(
      ["/bin/sh", "-c", script, "sh", folder.string, programs.string], input: ends[0],
      output: "/dev/null", ownSession: true)
    close(ends[0])
    return (id, ends[1])
  }
}

/// What went wrong in a test's own machinery.
public struct Trouble: Error, CustomStringConvertible {
  public var description: String
  public init(_ description: String) { self.description = description }
}

/// Starting programs with a clean signal mask: test threads block signals, and children inherit that.
private enum Child {
  static func spawn(
    _ words: [String], input: Int32?, output: String, ownSession: Bool = false
  ) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    if let input {
      posix_spawn_file_actions_adddup2(&actions, input, 0)
    } else {
      posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    }
    posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    posix_spawn_file_actions_adddup2(&actions, 1, 2)

    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    sigemptyset(&none)
    var all = sigset_t()
    sigfillset(&all)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setsigdefault(&attributes, &all)
    var flags = Int32(POSIX_SPAWN_SETSIGMASK) | Int32(POSIX_SPAWN_SETSIGDEF)
    if ownSession { flags |= spawnInOwnSession }
    posix_spawnattr_setflags(&attributes, Int16(flags))

    var arguments = words.map { strdup($0) } + [nil]
    defer { for argument in arguments { free(argument) } }
    let path = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "TZ=UTC"]
    var environment = path.map { strdup($0) } + [nil]
    defer { for entry in environment { free(entry) } }
    var id: pid_t = 0
    let code = posix_spawn(&id, words[0], &actions, &attributes, &arguments, &environment)
    guard code == 0 else { throw Trouble("cannot start \(words[0]): \(StillError.reason(code))") }
    return id
  }

  /// The exit status, 128 + N for signal N.
  static func wait(_ id: pid_t) -> Int32 {
    var status: Int32 = 0
    while waitpid(id, &status, 0) < 0 {
      if errno != EINTR { return -1 }
    }
    return status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + status & 0x7F
  }
}

/// `POSIX_SPAWN_SETSID` of <spawn.h>.
private let spawnInOwnSession: Int32 = 0x80
