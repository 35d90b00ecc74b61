import StillModel
import StillPostgres
import StillSystem
import SystemPackage

/// What takes part in the change from the old server to the new one.
struct Cutover {
  let plan: MigrationPlan
  let cluster: LiveCluster
  let server: ServerSwitch
  /// What a user gave to stop and start the old server with.
  let commands: ServerCommands?
  /// What the target calls this cluster, where it asked for the move.
  let pulledAs: String?
  /// Nil where somebody else starts the new server.
  let newServer: (any NewServer)?
  let units: (any ServiceUnits)?
  let target: TargetPlaces
  let transfers: Transfers
  /// At the snapshots of the last pass; nil where it read live files.
  let look: FrozenLook?
  let program: FilePath
  let run: Run

  /// What the new server has to know.
  var word: MigrationWord { MigrationWord(of: plan.id) }
  var folder: OpenFolder { cluster.directory.folder }
}

/// How far a cutover has come.
private struct Progress {
  /// A control file may be at the target.
  var isArming = false
  /// The start of the new server was ordered.
  var hasBegun = false
}

/// Stops the old server, copies what is left, starts the new one, and proves it. Whatever fails, the
/// old server is started again and proved.
///
/// - Returns: how long nobody was served.
func cutOver(_ cutover: Cutover) throws -> MigrationReport.Downtime {
  let (run, plan, cluster) = (cutover.run, cutover.plan, cutover.cluster)
  try cutover.lookAgain()
  if !cluster.facts.isStandby { try cutover.word.leave(with: cluster.session) }
  let marker: SourceMarker
  let client: DowntimeWatch
  let stopped: StoppedServer
  var budget: BudgetWatch?
  do {
    // What the stop would have to write.
    try cluster.checkpoint(run.cancellation)
    if cutover.look != nil { try cutover.syncBeforehand() }
    client = try DowntimeWatch(cluster.target, cutover.newServer?.connection)
    marker = try SourceMarker.leave(
      in: cutover.folder, plan, cutover.server, remoteShell: cutover.target.files.remoteShell,
      pulledAs: cutover.pulledAs)
    run.observer.noticed(
      "should this process be killed now, this brings the old server back: " + marker.undoLine)
    budget = try plan.mostDowntime.map { try BudgetWatch($0, plan.onOverrun, run) }
    do {
      stopped = try StoppedServer(
        cluster, cutover.server, within: plan.stopLimit, program: cutover.program,
        units: cutover.units, for: "migration", run)
    } catch {
      budget?.end()
      _ = client.end()
      // Where it does not run again, the note says how it is brought back.
      if (try? Postmaster.running(in: cutover.folder)) != nil { try? marker.remove() }
      throw error
    }
  } catch {
    try? cutover.word.forget(with: cluster.newSession())
    throw error
  }
  defer {
    budget?.end()
    _ = client.end()
  }
  var progress = Progress()
  let proof = Proof(cluster.facts, cutover.word)
  do {
    let copy = Stopwatch()
    // With the server down, for a moment before the stop is a moment too early.
    try cluster.requireUnchangedLayout()
    try cluster.requireOwnFolders()
    let (control, mode) = try marker.controlFile()
    try run.phase(.finalPass, "\(plan.target)", failsAs: .copying) {
      let isFull = plan.finalPass == .full
      let pass = try cutover.transfers.pass(
        over: .stopped(isFull ? nil : cutover.proof()), isFull: isFull, run)
      run.observer.noticed(pass.sentence)
      try cutover.target.sync(run.cancellation)
      try stopped.requireUntouched()
    }
    budget?.end()
    // The last moment to say no.
    try run.cancellation.checkpoint()
    // Two servers of one cluster must never run: from here on nobody can start the old one, neither by
    // mistake nor because this process has died. Whoever did a moment before must be found.
    try marker.move()
    TestHooks.reached("moved")
    try cutover.server.requireNone()
    guard try marker.controlFile().bytes == control else {
      throw StillError(
        .postgres, "the old server was started and stopped again while it was being copied")
    }
    try cutover.target.stage(control, mode: mode)
    progress.isArming = true
    try cutover.target.arm(control, mode: mode)
    let copySeconds = copy.seconds
    TestHooks.reached("armed")
    let start = try cutover.newServer.map { server in
      let watch = Stopwatch()
      try run.phase(.start, server.startLine, failsAs: .postgres) {
        progress.hasBegun = true
        try server.start(run.observer, run.cancellation, proof)
      }
      return watch.seconds
    }
    // It has been moved: a sentinel that cannot be dismissed would try in vain.
    try? stopped.endWatch()
    do { try cutover.target.removeMarks() } catch {
      run.observer.noticed("marks of the migration were left in \(plan.target): \(error)")
    }
    return MigrationReport.Downtime(
      seenByClient: start == nil ? nil : client.end(), stop: stopped.stopSeconds,
      copy: copySeconds, start: start)
  } catch {
    throw rollBack(cutover, stopped, marker, progress, proof, after: error)
  }
}

extension Cutover {
  /// Lets others' writes, which all go to the disk with the server's, go there while it still runs.
  fileprivate func syncBeforehand() throws {
    for _ in 1...3 {
      let watch = Stopwatch()
      try cluster.layout.syncFileSystems(run.cancellation)
      if watch.seconds < 0.5 { return }
    }
  }

  /// What tells which files can differ from the last snapshots, where anybody can. Where nobody can any
  /// more, the times of change go on telling.
  fileprivate func proof() -> ChangeProof? {
    guard let look else { return nil }
    do {
      // The kernel copies a chunk away when it is written to the disk, not before.
      try cluster.layout.syncFileSystems(run.cancellation)
      return try look.proof()
    } catch {
      run.observer.noticed(
        "what the snapshots know of changes is not used: "
          + ((error as? StillError)?.message ?? "\(error)"))
      return nil
    }
  }

  /// The passes may have taken hours: what was true of the old server before them has to be true now, for
  /// it may have to come back.
  fileprivate func lookAgain() throws {
    try phase("looking again before the stop", failsAs: .precondition) {
      guard try cluster.serverSwitch(commands: commands, units: units).control == server.control
      else {
        throw StillError(
          .precondition, "the server is started in another way since the migration was planned",
          hint: "Run the migration again.")
      }
      guard try cluster.session.isInRecovery() == cluster.facts.isStandby else {
        throw StillError(
          .precondition, "the standby was promoted since the migration was planned",
          hint: "Run the migration again.")
      }
      // Of a run that was killed.
      if let earlier = try SourceMarker.find(in: folder) {
        try? earlier.word.forget(with: cluster.session)
      }
    }
  }
}

/// Brings the old server back, unless a new one may run.
///
/// - Returns: the failure, with what became of the old server.
private func rollBack(
  _ cutover: Cutover, _ stopped: StoppedServer, _ marker: SourceMarker, _ progress: Progress,
  _ proof: Proof, after failure: any Error
) -> any Error {
  let target = cutover.target
  var failure = failure as? StillError ?? StillError(.failed, "\(failure)")
  // What was to be done about the new server is no advice any more.
  failure.hint = "Nothing has moved. Mend the cause, then run the migration again."
  var wasStarted = proof.isAnswered
  do {
    // Before, nothing at the target has to be undone, and a disk there that hangs keeps nobody waiting.
    if progress.isArming {
      // First of all nobody may start one there that comes late.
      try target.disarm()
      if progress.hasBegun { try cutover.newServer?.stop(within: cutover.plan.stopLimit) }
      if let other = try target.files.server(of: cutover.plan.targetPath) {
        throw StillError(.postgres, "a server runs on \(cutover.plan.target) (pid \(other))")
      }
      // Each start writes the control file.
      if let there = try target.control(), there != (try? marker.controlFile().bytes) {
        wasStarted = true
      }
    }
    try marker.takeBack()
  } catch {
    // The old one must not run beside it: nobody may start it either.
    try? stopped.endWatch()
    failure.further.append(
      "the old server was not started again: \((error as? StillError)?.message ?? "\(error)")")
    failure.hint =
      "See that no server runs on \(cutover.plan.target), then: "
      + marker.undoLine
      + "; with --target-is-down where that cannot be asked, once none runs there and none can be started"
    return failure
  }
  if wasStarted {
    failure.hint = "See to what was written to the new server before anybody goes on."
    failure.further.append(
      "the new server had been started: what others have committed there is not in the old one; the "
        + "files are still at \(cutover.plan.target), the control file as pg_control.undone")
  }
  TestHooks.reached("taken back")
  let told = stopped.bringBack(after: failure)
  if let session = stopped.session {
    try? marker.remove()
    try? cutover.word.forget(with: session)
  }
  // What may be needed is no pass that another run may write over.
  if wasStarted { try? target.removeMarks() }
  return told
}
