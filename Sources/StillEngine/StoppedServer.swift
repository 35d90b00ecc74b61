import StillModel
import StillPostgres
import StillSystem
import SystemPackage

/// A server that is down on our account, and comes back whatever happens: by `bringBack`, or, where
/// this process dies, by the sentinel, or by the broker where systemd runs the server.
final class StoppedServer {
  private let server: ServerSwitch
  private let cluster: LiveCluster
  private let units: (any ServiceUnits)?
  private let run: Run
  /// What it is stopped for, in messages: `backup`.
  private let job: String
  private let sentinel: Sentinel?
  /// Seconds that the server may take to stop.
  private let limit: Double
  /// Since the order to stop.
  private var watch = Stopwatch()
  /// From the order to stop until the server was down.
  private(set) var stopSeconds = 0.0
  private var isBack = false
  private var wasDown = true
  /// It may still be under way after a stop that failed.
  private var isStopPending = false
  /// As the server left it.
  private var control: ControlFile?
  /// What kept the server from coming back, where that is so.
  private var startFailure: StillError?
  /// Once the server is back.
  private(set) var downtime: BackupRecord.Downtime?
  /// To the server that came back.
  private(set) var session: Session?

  /// Stops the server of a cluster: fast, with a limit, and proved.
  ///
  /// - Throws: where it does not stop. Then it has been started again, or goes on running.
  init(
    _ cluster: LiveCluster, _ server: ServerSwitch, within limit: Double, program: FilePath,
    units: (any ServiceUnits)?, for job: String, _ run: Run
  ) throws {
    self.job = job
    self.cluster = cluster
    self.server = server
    self.units = units
    self.run = run
    self.limit = limit
    guard let postmaster = try Postmaster.running(in: cluster.directory.folder) else {
      throw StillError(.postgres, "the server has been stopped by somebody else")
    }
    // Of a unit the broker takes care.
    if case .unit = server.control {
      sentinel = nil
    } else {
      sentinel = try Sentinel.post(over: server, program: program)
    }
    cluster.session.close()
    watch = Stopwatch()
    do {
      try run.phase(.stop, server.control.stopLine(within: limit), failsAs: .postgres) {
        isStopPending = true
        try server.stop(
          postmaster, within: limit, units: units, lifeline: sentinel?.lifeline)
        control = try DataDirectory.readControlFile(cluster.directory.folder)
      }
      isStopPending = false
      stopSeconds = watch.seconds
    } catch {
      stopSeconds = watch.seconds
      throw bringBack(after: error)
    }
  }

  /// Everything before this position is in the files of the stopped server.
  func flushed() throws -> LSN {
    let control = try control ?? DataDirectory.readControlFile(cluster.directory.folder)
    return max(control.checkpoint, control.minimumRecoveryPoint ?? control.checkpoint)
  }

  /// Makes sure that nobody has started the server meanwhile: what was read of its live files since
  /// the stop is then of one state.
  func requireUntouched() throws {
    if case .unit = server.control, (try? units?.unitIsChanging()) == nil, units?.isGone == true {
      throw StillError(
        .postgres,
        "the broker has died, and its sentinel has started the server before all was copied",
        hint: "Run the \(job) again.")
    }
    try server.requireDown(cluster.directory.folder)
    try requireLeft(DataDirectory.readControlFile(cluster.directory.folder))
  }

  /// A server writes its control file when it starts and when it stops, so one that did both meanwhile
  /// shows there, and nowhere else.
  ///
  /// - Throws: where this is not the control file that the server left when it was stopped.
  func requireLeft(_ found: ControlFile) throws {
    guard found == control else {
      throw StillError(
        .copying, "the server was started and stopped again after it was stopped for this \(job)",
        hint: "Whoever looks after it has to let it be down; run the \(job) again.")
    }
  }

  /// Starts the server and proves it by a query: it serves this data directory, and is a primary or a
  /// standby as before. Does nothing the second time.
  ///
  /// - Throws: `.postgres` with what helps to start it by hand.
  func bringBack() throws {
    guard !isBack else { return }
    isBack = true
    try run.phase(.start, server.control.startLine, failsAs: .postgres) {
      // The moment of the proof counts: the program that starts the server may take longer.
      let (up, wasDown) = try server.ensureUp(
        units: units, isStopPending: isStopPending, notice: run.observer.noticed
      ) {
        (session: try proof(by: $0), seconds: watch.seconds)
      }
      self.wasDown = wasDown
      downtime = BackupRecord.Downtime(
        seconds: up.seconds, stopSeconds: stopSeconds,
        stoppedWith: server.control.stopLine(within: limit),
        startedWith: server.control.startLine)
      session = up.session
    }
    sentinel?.dismiss()
    if case .unit = server.control { bringDependantsBack() }
  }

  /// The server is up, so nothing here is a failure of the run.
  private func bringDependantsBack() {
    guard let units, (try? units.unitIsUp()) != nil else { return }
    let watch = Stopwatch()
    while let down = try? units.dependantsThatAreDown(), !down.isEmpty {
      guard watch.seconds < 10 else {
        let names = down.joined(separator: " ")
        run.observer.noticed(
          "systemd stopped these units with the server's, and they are not up again yet: \(names); "
            + "see systemctl status \(names)")
        return
      }
      Clock.sleep(milliseconds: 100)
    }
  }

  /// From here on nobody starts the server, whatever becomes of this process: another one has taken its
  /// place.
  func endWatch() throws {
    if case .unit = server.control { try units?.letUnitBeDown() }
    sentinel?.dismiss()
  }

  /// Starts the server once its files are safe. Where it does not come back the copy goes on: it is
  /// the one moment in which somebody may need it. `requireBack` fails then.
  func bringBackOrGoOn() {
    do {
      try bringBack()
    } catch {
      let failure = error as? StillError ?? StillError(.postgres, "\(error)")
      startFailure = failure
      run.observer.noticed(
        "\(failure.message). \(failure.hint ?? "") The backup is made all the same")
    }
  }

  /// - Parameter published: the folder of the backup.
  /// - Throws: where the server did not come back.
  func requireBack(published: String, _ release: ReleaseReport = ReleaseReport()) throws {
    guard var failure = startFailure else { return }
    failure.further.append("the backup is whole, and was published: \(published)")
    if let left = release.failure { failure.further.append(left.message) }
    throw failure
  }

  private func proof(by postmaster: Postmaster) throws -> Session {
    let session = try Session.open(ConnectionTarget(postmaster: postmaster))
    try session.requireServing(cluster.directory)
    guard try session.isInRecovery() == cluster.facts.isStandby else {
      throw StillError(
        .postgres, cluster.facts.isStandby ? "it is no standby any more" : "it is still recovering")
    }
    return session
  }

  /// A failure of the work, after that of the start where there was one.
  func orItsOwn(_ failure: any Error) -> any Error {
    guard var start = startFailure else { return failure }
    start.further.insert((failure as? StillError)?.message ?? "\(failure)", at: 0)
    return start
  }

  /// The server first: a failure of the work, and with it one of the start, where that fails too.
  func bringBack(after failure: any Error) -> any Error {
    do {
      if let startFailure { throw startFailure }
      try bringBack()
      guard var failure = failure as? StillError, let downtime else { return failure }
      failure.further.append(
        wasDown
          ? "the server runs again; it was down for \(Figures.duration(downtime.seconds))"
          : "the server runs, it never went down")
      return failure
    } catch {
      // That nobody is served is worse than whatever went wrong before.
      guard var start = error as? StillError else { return error }
      start.further.insert((failure as? StillError)?.message ?? "\(failure)", at: 0)
      return start
    }
  }
}
