import StillModel
import StillSystem
import SystemPackage

extension ServerSwitch {
  /// The switch of a copy of this server in another folder, which somebody else's command starts.
  ///
  /// - Parameters:
  ///   - command: run by `/bin/sh -c`.
  ///   - programs: where pg_ctl is, which stops it.
  public func moved(
    to folder: FilePath, startedBy command: String, programs: FilePath
  ) throws -> ServerSwitch {
    let stop = [
      programs.appending("pg_ctl").string, "stop", "-D", folder.string, "-m", "fast", "-w",
    ]
    return ServerSwitch(
      control: .commands(stop: ShellWords.line(stop), start: command),
      dataDirectory: folder.string, environment: Environment.all, log: nil)
  }

  /// The switch of a copy of this server in another folder, started as this one was.
  ///
  /// - Parameter programs: where PostgreSQL's programs are there.
  /// - Throws: `.precondition` where only somebody else can know how it is started.
  public func moved(to folder: FilePath, programs: FilePath) throws -> ServerSwitch {
    guard case .pgCtl(var told) = control else {
      throw StillError(
        .precondition,
        "the server is started with \(control.startLine), which starts no copy in another folder",
        hint: "Say what starts the new server, --target-start-command, or start it yourself: "
          + "--no-start.")
    }
    guard told.startDirectory == told.dataDirectory || isSame(told) else {
      throw StillError(
        .precondition,
        "the server has its configuration in \(told.startDirectory), outside its data directory",
        hint: "Say what starts the new server, --target-start-command, or start it yourself: "
          + "--no-start.")
    }
    var environment = environment
    if environment["PGDATA"] != nil { environment["PGDATA"] = folder.string }
    // A log within the data directory moves with it.
    if let inner = FilePath(told.log).relative(to: FilePath(told.dataDirectory)) {
      told.log = folder.pushing(inner).string
    }
    told.program = programs.appending("pg_ctl").string
    told.dataDirectory = folder.string
    told.startDirectory = folder.string
    return ServerSwitch(
      control: .pgCtl(told), dataDirectory: folder.string, environment: environment,
      log: told.log)
  }

  private func isSame(_ told: ServerControl.PgCtl) -> Bool {
    (try? FilePath(told.startDirectory).resolved() == FilePath(told.dataDirectory).resolved())
      ?? false
  }
}

extension ServerSwitch {
  /// Where the programs of the running server are.
  ///
  /// - Throws: `.precondition` where its process cannot be examined.
  public func programs(of directory: DataDirectory) throws -> FilePath {
    guard let postmaster = try Postmaster.running(in: directory.folder),
      let program = try? RunningProcess(postmaster.processID).executable()
    else {
      throw StillError(
        .precondition, "the server's program is not known",
        hint: "Say where the programs are on the other host: --target-programs.")
    }
    return program.removingLastComponent()
  }
}
