/// How a running server is stopped and started again, found out before anything is stopped.
public enum ServerControl: Hashable, Sendable, Codable {
  /// systemd runs the server as this unit: `postgresql@15-main.service`. The broker stops and starts
  /// it, for that needs root; stopped behind systemd's back the unit would be in a wrong state.
  case unit(String)
  /// Debian's wrapper: `pg_ctlcluster 15 main`.
  case pgCtlCluster(version: String, name: String)
  /// PostgreSQL's own program.
  case pgCtl(PgCtl)
  /// What the user said: each run by `/bin/sh -c`, as the owner of the cluster. The only place where
  /// words of ours ever meet a shell.
  case commands(stop: String, start: String)

  /// What `pg_ctl` has to be told so that the server comes back as it was.
  public struct PgCtl: Hashable, Sendable, Codable {
    /// The absolute path of the `pg_ctl` beside the server's own program.
    public var program: String
    /// Where `postmaster.pid` is.
    public var dataDirectory: String
    /// What the server was told with `-D`: a folder of configuration, or the data directory.
    public var startDirectory: String
    /// The other words of the server's command line.
    public var options: [String]
    /// The file that takes the server's standard output and error.
    public var log: String

    public init(
      program: String, dataDirectory: String, startDirectory: String, options: [String],
      log: String
    ) {
      self.program = program
      self.dataDirectory = dataDirectory
      self.startDirectory = startDirectory
      self.options = options
      self.log = log
    }
  }

  /// The words of the program that stops the server, fast, which means that clients are not waited
  /// for.
  ///
  /// - Parameter limit: in seconds.
  public func stopWords(within limit: Double) -> [String] {
    let seconds = String(Int(limit.rounded(.up)))
    switch self {
    case .unit(let unit): return ["systemctl", "stop", unit]
    case .pgCtlCluster(let version, let name):
      return [ServerControl.pgCtlCluster, "--skip-systemctl-redirect", "-m", "fast"]
        + [version, name, "stop", "--", "-t", seconds]
    case .pgCtl(let told):
      return [told.program, "stop", "-D", told.dataDirectory, "-m", "fast", "-w", "-t", seconds]
    case .commands(let stop, _): return ["/bin/sh", "-c", stop]
    }
  }

  /// The words of the program that starts the server.
  public var startWords: [String] {
    switch self {
    case .unit(let unit): return ["systemctl", "start", unit]
    case .pgCtlCluster(let version, let name):
      return [ServerControl.pgCtlCluster, "--skip-systemctl-redirect", version, name, "start"]
    case .pgCtl(let told):
      let options = told.options.isEmpty ? [] : ["-o", ShellWords.line(told.options)]
      return [told.program, "start", "-D", told.startDirectory, "-l", told.log, "-w"] + options
    case .commands(_, let start): return ["/bin/sh", "-c", start]
    }
  }

  /// What a person would type to stop the server.
  public func stopLine(within limit: Double) -> String {
    if case .commands(let stop, _) = self { return stop }
    return ShellWords.line(stopWords(within: limit))
  }

  /// What a person would type to start the server.
  public var startLine: String {
    if case .commands(_, let start) = self { return start }
    return ShellWords.line(startWords)
  }

  /// Whether somebody else stops and starts the server, and may carry out an order later than it was
  /// given.
  public var isUpToOthers: Bool {
    switch self {
    case .unit, .commands: true
    case .pgCtl, .pgCtlCluster: false
    }
  }

  /// Where Debian puts it.
  public static let pgCtlCluster = "/usr/bin/pg_ctlcluster"
}
