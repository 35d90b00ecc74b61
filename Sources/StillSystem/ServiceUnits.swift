/// Whoever may stop and start services of systemd: the broker. It takes no name of a unit, but the
/// process of a server, whose unit it finds out itself.
public protocol ServiceUnits: Sendable {
  /// The unit that runs a server and nothing else.
  ///
  /// - Parameter postmaster: the server's first process.
  /// - Throws: `.precondition` where no unit of the system does.
  func unit(ofPostmaster postmaster: Int32) throws -> String

  /// Asks systemd to stop the unit of a server; does not wait until it has. From now on the unit is
  /// started when the one who asked goes away.
  func stopUnit(ofPostmaster postmaster: Int32) throws

  /// Asks systemd to start the unit that was stopped; does not wait until it runs.
  func startUnit() throws

  /// Whether systemd is at work on the unit that was stopped.
  func unitIsChanging() throws -> Bool

  /// The server is known to run: nobody has to start it any more.
  func unitIsUp() throws
}
