/// A unit of systemd that runs a server and nothing else.
public struct ServerUnit: Hashable, Sendable, Codable {
  public var name: String
  /// Units that run now, and that systemd stops when it stops this one.
  public var dependants: [String]

  public init(name: String, dependants: [String] = []) {
    self.name = name
    self.dependants = dependants
  }
}

/// Whoever may stop and start services of systemd: the broker. It takes no name of a unit, but the
/// process of a server, whose unit it finds out itself.
public protocol ServiceUnits: Sendable {
  /// The unit that runs a server and nothing else.
  ///
  /// - Parameter postmaster: the server's first process.
  /// - Returns: nil for a server that some other unit has started and leaves alone, also when that
  ///   unit stops (systemd.kill(5), `KillMode`): one that cron started, perhaps.
  /// - Throws: `.precondition` where it belongs to a unit that is not its own.
  func unit(ofPostmaster postmaster: Int32) throws -> ServerUnit?

  /// Asks systemd to stop the unit of a server; does not wait until it has. From now on the unit is
  /// started when the one who asked goes away.
  func stopUnit(ofPostmaster postmaster: Int32) throws

  /// Asks systemd to start the unit that was stopped; does not wait until it runs.
  func startUnit() throws

  /// Whether systemd is at work on the unit that was stopped.
  func unitIsChanging() throws -> Bool

  /// The unit that was stopped stays so when the one who asked goes away.
  func letUnitBeDown() throws

  /// The server is known to run: nobody has to start it any more. Asks systemd to start what it
  /// stopped together with its unit.
  func unitIsUp() throws

  /// Which of those do not run.
  func dependantsThatAreDown() throws -> [String]

  /// Whether it has died. Then a process that it left behind starts the unit that was stopped.
  var isGone: Bool { get }
}
