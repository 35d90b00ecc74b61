import StillModel
import StillSystem
import SystemPackage

/// Stops one server and starts it again. Plain, so that it can be handed to the sentinel; not for
/// printing, for it holds the server's environment.
public struct ServerSwitch: Sendable, Codable {
  public let control: ServerControl
  /// Absolute.
  public let dataDirectory: String
  /// What the programs are run with.
  let environment: [String: String]
  /// Where the server writes what it has to say when a start fails; nil where that cannot be found.
  let log: String?
  /// Units that systemd stops together with the server's, and that are started again after it.
  public var dependants: [String] = []

  public init(
    control: ServerControl, dataDirectory: String, environment: [String: String], log: String?
  ) {
    self.control = control
    self.dataDirectory = dataDirectory
    self.environment = environment
    self.log = log
  }

  /// How the server is doing, by its lock file and its process.
  enum State {
    case down
    /// It begins to start, or to stop, or takes connections.
    case running(Postmaster)
    case stopping(Postmaster)
  }

  public var folder: OpenFolder { get throws { try OpenFolder.open(FilePath(dataDirectory)) } }

  func state() throws -> State {
    guard let postmaster = try Postmaster.running(in: folder) else { return .down }
    return postmaster.status == "stopping" ? .stopping(postmaster) : .running(postmaster)
  }

  /// For one of our own programs what it says is kept; a user's command may leave a server behind
  /// that goes on writing where it was told to.
  func errand(_ words: [String], socket: Int32? = nil) throws -> Errand {
    var keepsOutput = true
    if case .commands = control { keepsOutput = false }
    return try Errand(words, environment: environment, keepsOutput: keepsOutput, socket: socket)
  }

  func noUnits() -> StillError {
    StillError(.failed, "\(control.startLine) needs the broker, which is not there")
  }
}
