import StillModel
import StillSystem
import SystemPackage

extension ServerSwitch {
  /// Stops the server and proves that it is down: its process and its lock file are gone, and its
  /// control file says that it was shut down in order.
  ///
  /// After a failure the server may run, or be down, or be on its way: `ensureUp` is for all three.
  /// A server that does not stop in time is left to it, and not killed.
  ///
  /// - Parameters:
  ///   - postmaster: the server that is meant.
  ///   - limit: in seconds.
  ///   - units: stops units of systemd.
  ///   - lifeline: a descriptor that the stopping program is to have open too (`Sentinel`).
  /// - Throws: `.postgres` where it does not stop, or not in order.
  public func stop(
    _ postmaster: Postmaster, within limit: Double, units: (any ServiceUnits)?, lifeline: Int32?
  ) throws {
    let watch = Stopwatch()
    let folder = try self.folder
    if case .unit = control {
      guard let units else { throw noUnits() }
      try units.stopUnit(ofPostmaster: postmaster.processID)
    } else {
      let errand = try errand(control.stopWords(within: limit), socket: lifeline)
      // pg_ctl has the same limit, and says more about it.
      let status = errand.wait(atMost: limit + 1)
      // It must not stop the server later, behind our back.
      errand.end()
      guard status == 0 else {
        if watch.seconds >= limit { throw notInTime(limit) }
        throw StillError(
          .postgres, "the server could not be stopped: \(errand.failure)",
          hint: "It goes on running. See what the command says, or give --stop-command.")
      }
    }
    while try isThere(postmaster, folder) {
      guard watch.seconds < limit else { throw notInTime(limit) }
      Clock.sleep(milliseconds: 10)
    }
    try requireDown(folder)
  }

  /// - Throws: where the files are not those of a server that was shut down in order.
  public func requireDown(_ folder: OpenFolder) throws {
    if let other = try Postmaster.running(in: folder) {
      throw StillError(
        .postgres,
        "somebody started the server again right after it was stopped (pid \(other.processID))",
        hint:
          "Whoever looks after it (a cluster manager, a supervisor) has to let it be down: name "
          + "commands that see to that with --stop-command and --start-command.")
    }
    let state = try DataDirectory.readControlFile(folder).state
    guard state.isShutDown else {
      throw StillError(
        .postgres,
        "the server was not shut down in order: \(dataDirectory)/global/pg_control says "
          + state.text,
        hint: "It recovers when it is started; its log says why it ended so.")
    }
  }

  private func isThere(_ postmaster: Postmaster, _ folder: OpenFolder) throws -> Bool {
    if Postmaster.isAlive(postmaster.processID, in: folder) { return true }
    // A lock file that names the dead process was not removed in order; the control file tells.
    return try Postmaster.running(in: folder)?.processID == postmaster.processID
  }

  private func notInTime(_ limit: Double) -> StillError {
    StillError(
      .postgres, "the server did not stop within \(Int(limit.rounded(.up))) s",
      hint: "Nothing was copied. Its log says what it waits for; or give a longer --stop-timeout.")
  }
}
