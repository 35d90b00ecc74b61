import FoundationEssentials
import StillModel
import SystemPackage

/// Where and as whom to connect: libpq's keywords (the manual, "Parameter Key Words").
///
/// What is not said here, libpq takes from its own environment, a service file or its defaults:
/// PGHOST, PGPORT, PGUSER, PGSERVICE, PGPASSFILE and so on work as everywhere.
public struct ConnectionTarget: Hashable, Sendable {
  /// Keyword to value, `dbname` apart.
  public var parameters: [String: String]
  /// Tried in this order: the next one only where the server says that this one does not exist or
  /// may not be connected to. Empty: whatever libpq's environment says.
  public var databases: [String]

  public init(parameters: [String: String] = [:], databases: [String] = ["postgres", "template1"]) {
    self.parameters = parameters
    self.databases = databases
  }

  /// The server of `postmaster`, by its own socket and port, where the environment says nothing
  /// else.
  ///
  /// - Parameters:
  ///   - postmaster: what `postmaster.pid` says; nil leaves everything to the environment.
  ///   - user: the role; nil leaves it to PGUSER, else to the name of the process's own user, which
  ///     is what peer authentication wants.
  ///   - environment: of this process.
  public init(
    postmaster: Postmaster?, user: String? = nil,
    environment: [String: String] = ProcessInfo.processInfo.environment
  ) {
    func says(_ name: String) -> Bool { environment[name].map { !$0.isEmpty } ?? false }
    var parameters: [String: String] = [:]
    let isNamed = says("PGSERVICE")
    if let postmaster, !isNamed {
      if !says("PGHOST"), !says("PGHOSTADDR"), let host = postmaster.host {
        parameters["host"] = host
      }
      if !says("PGPORT") { parameters["port"] = String(postmaster.port) }
    }
    if let user { parameters["user"] = user }
    let databases = says("PGDATABASE") || isNamed ? [] : ["postgres", "template1"]
    self.init(parameters: parameters, databases: databases)
  }
}
