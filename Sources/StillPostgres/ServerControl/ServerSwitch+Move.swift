import StillModel
import StillSystem
import SystemPackage

extension ServerSwitch {
  /// The switch of a copy of this server in another folder.
  ///
  /// - Parameter startCommand: what starts it, run by `/bin/sh -c`; nil for what starts this one.
  /// - Throws: `.precondition` where only somebody else can know how it is started.
  public func moved(
    to folder: FilePath, startCommand: String?, of directory: DataDirectory
  ) throws -> ServerSwitch {
    if let startCommand {
      return ServerSwitch(
        control: .commands(stop: try stopLine(of: folder, directory), start: startCommand),
        dataDirectory: folder.string, environment: Environment.all, log: nil)
    }
    guard case .pgCtl(var told) = control else {
      throw StillError(
        .precondition,
        "the server is started with \(control.startLine), which starts no copy in another folder",
        hint: "Say what starts the new server, --start-command, or start it yourself: --no-start.")
    }
    guard told.startDirectory == told.dataDirectory || isSame(told) else {
      throw StillError(
        .precondition,
        "the server has its configuration in \(told.startDirectory), outside its data directory",
        hint: "Say what starts the new server, --start-command, or start it yourself: --no-start.")
    }
    var environment = environment
    if environment["PGDATA"] != nil { environment["PGDATA"] = folder.string }
    // A log within the data directory moves with it.
    if let inner = FilePath(told.log).relative(to: FilePath(told.dataDirectory)) {
      told.log = folder.pushing(inner).string
    }
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

  /// What stops a server in a folder that somebody else started there.
  private func stopLine(of folder: FilePath, _ directory: DataDirectory) throws -> String {
    let program = try programs(of: directory).appending("pg_ctl").string
    return ShellWords.line([program, "stop", "-D", folder.string, "-m", "fast", "-w"])
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
