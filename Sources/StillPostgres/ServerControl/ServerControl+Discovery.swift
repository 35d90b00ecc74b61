import StillModel
import StillSystem
import SystemPackage

/// The commands that a user gave to stop and start the server with.
public struct ServerCommands: Hashable, Sendable, Codable {
  public var stop: String
  public var start: String

  public init(stop: String, start: String) {
    self.stop = stop
    self.start = start
  }
}

extension ServerSwitch {
  /// Finds out how a running server is stopped so that it comes back as it was. Changes nothing.
  ///
  /// In this order: the user's commands; the systemd unit that the server runs as; Debian's
  /// pg_ctlcluster, where its configuration is in Debian's place; pg_ctl.
  ///
  /// - Parameters:
  ///   - postmaster: of the server.
  ///   - directory: its data directory.
  ///   - configFile: its `config_file`.
  ///   - logCollector: the folder of the server's own log files, where it has a collector for them.
  ///   - units: finds units of systemd.
  /// - Throws: `.precondition` where that is not certain, with the way out.
  public static func find(
    of postmaster: Postmaster, in directory: DataDirectory, configFile: String,
    logCollector: FilePath?, commands: ServerCommands?, units: (any ServiceUnits)?
  ) throws -> ServerSwitch {
    let process = RunningProcess(postmaster.processID)
    let found = try choose(
      postmaster, process, dataDirectory: directory.folder.path.resolved().string, configFile,
      logCollector, commands, units)
    try found.rehearse(process, in: directory)
    return found
  }

  private static func choose(
    _ postmaster: Postmaster, _ process: RunningProcess, dataDirectory: String,
    _ configFile: String, _ logCollector: FilePath?, _ commands: ServerCommands?,
    _ units: (any ServiceUnits)?
  ) throws -> ServerSwitch {
    let log = (try? process.target(ofDescriptor: 1)).flatMap(logFile)
    func found(_ control: ServerControl, _ environment: [String: String]) -> ServerSwitch {
      ServerSwitch(
        control: control, dataDirectory: dataDirectory, environment: environment, log: log)
    }
    if let commands {
      return found(.commands(stop: commands.stop, start: commands.start), Environment.all)
    }
    if postmaster.processID == 1 {
      throw StillError(
        .precondition, "the server is process 1: to stop it ends the container",
        hint: "Use another --consistency, or make the backup from outside.")
    }
    if let unit = try process.serviceUnitOfUser() {
      throw needsCommands("the server is \(unit), a unit of its owner's own systemd")
    }
    if try process.serviceUnit() != nil {
      guard let units else { throw needsCommands("the server runs as a unit of systemd") }
      if let unit = try units.unit(ofPostmaster: postmaster.processID) {
        var found = found(.unit(unit.name), [:])
        found.dependants = unit.dependants
        return found
      }
    }
    try requireLastingPlace()
    if let (version, name) = debianCluster(configFile) {
      return found(.pgCtlCluster(version: version, name: name), plainEnvironment)
    }
    let environment = try environment(of: process)
    let pgCtl = try ServerControl.PgCtl(
      of: process, dataDirectory: dataDirectory, environment, log: log,
      logCollector: logCollector)
    return ServerSwitch(
      control: .pgCtl(pgCtl), dataDirectory: dataDirectory, environment: environment,
      log: pgCtl.log)
  }

  /// A file that was removed under the server is made anew.
  private static func logFile(_ output: String) -> String? {
    guard output.hasPrefix("/"), !output.hasPrefix("/dev/") else { return nil }
    let gone = " (deleted)"
    return output.hasSuffix(gone) ? String(output.dropLast(gone.count)) : output
  }

  /// `/etc/postgresql/15/main/postgresql.conf` is Debian's cluster `15 main`.
  static func debianCluster(_ configFile: String) -> (version: String, name: String)? {
    let names = FilePath(configFile).components.map(\.string)
    guard names.count == 5, names[0] == "etc", names[1] == "postgresql",
      names[4] == "postgresql.conf", names[2].wholeMatch(of: #/[0-9]+(\.[0-9]+)?/#) != nil,
      (try? OpenFolder.open("/usr/bin").metadataIfPresent(of: "pg_ctlcluster")) != nil
    else { return nil }
    return (names[2], names[3])
  }

  /// pg_ctlcluster makes the server's environment itself.
  private static var plainEnvironment: [String: String] {
    ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin"].merging(Environment.language) { own, _ in own }
  }

  /// The server's own, so that commands in its configuration find what they found before.
  private static func environment(of process: RunningProcess) throws -> [String: String] {
    var variables: [String: String]
    do {
      variables = try process.environment()
    } catch {
      throw needsCommands("the server's environment cannot be read")
    }
    // Of the start that it came from: pg_ctl sets the first anew, systemd the second.
    for name in ["PG_GRANDPARENT_PID", "NOTIFY_SOCKET"] { variables[name] = nil }
    return variables
  }

  /// What a unit of systemd starts ends with the unit, also a server: a nightly job must not take it
  /// along (systemd.kill(5), `KillMode`).
  public static func requireLastingPlace() throws {
    guard let unit = try RunningProcess(Environment.processID).serviceUnit() else { return }
    let errand = try Errand(
      [Systemd.program, "show", "--property=KillMode", "--value", unit],
      environment: plainEnvironment)
    errand.wait(atMost: 10)
    errand.end()
    guard ["process", "none"].contains(errand.lines.last) else {
      throw StillError(
        .precondition,
        "pgstill runs in the unit \(unit), with which systemd would end the server that it starts",
        hint: "Set KillMode=process for \(unit), or let the server be a unit of its own, or give "
          + "--stop-command and --start-command.")
    }
  }

  fileprivate static func needsCommands(_ why: String) -> StillError {
    StillError(
      .precondition, "\(why), so it is not certain how to start it again",
      hint: "Say how it is stopped and started: --stop-command and --start-command.")
  }
}

extension ServerControl.PgCtl {
  /// The server's own program, command line and log, as its process shows them.
  init(
    of process: RunningProcess, dataDirectory: String, _ environment: [String: String],
    log: String?, logCollector: FilePath?
  ) throws {
    let arguments: [String]
    let executable: FilePath
    do {
      executable = try process.executable()
      arguments = try process.arguments()
    } catch {
      throw ServerSwitch.needsCommands("the server's process cannot be examined")
    }
    let program = executable.removingLastComponent().appending("pg_ctl")
    guard
      (try? OpenFolder.open(program.removingLastComponent()).metadataIfPresent(of: "pg_ctl"))
        != nil
    else { throw ServerSwitch.needsCommands("there is no \(program)") }
    guard let log = log ?? logCollector?.appending("startup.log").string else {
      throw ServerSwitch.needsCommands(
        "the server's output goes neither to a file nor to its log collector")
    }
    let (folder, options) = Self.split(Array(arguments.dropFirst()))
    let startDirectory = folder ?? environment["PGDATA"] ?? dataDirectory
    guard FilePath(startDirectory).isAbsolute else {
      throw ServerSwitch.needsCommands(
        "the server was started with the relative path \(startDirectory)")
    }
    self.init(
      program: program.string, dataDirectory: dataDirectory, startDirectory: startDirectory,
      options: options, log: log)
  }

  /// Takes `-D DIR` out of a server's command line.
  static func split(_ arguments: [String]) -> (folder: String?, rest: [String]) {
    var folder: String?
    var rest: [String] = []
    var index = 0
    while index < arguments.count {
      let word = arguments[index]
      if word == "-D", index + 1 < arguments.count {
        folder = arguments[index + 1]
        index += 1
      } else if word.hasPrefix("-D"), word.count > 2 {
        folder = String(word.dropFirst(2))
      } else {
        rest.append(word)
        // The values of these stand apart, and may look like anything.
        if ["-c", "-k", "-h", "-p", "-N", "-B", "-S", "-o"].contains(word),
          index + 1 < arguments.count
        {
          rest.append(arguments[index + 1])
          index += 1
        }
      }
      index += 1
    }
    return (folder, rest)
  }
}
