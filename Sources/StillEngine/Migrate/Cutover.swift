import StillModel
import StillPostgres
import StillSystem
import SystemPackage

/// What takes part in the change from the old server to the new one.
struct Cutover {
  let plan: MigrationPlan
  let cluster: LiveCluster
  let server: ServerSwitch
  /// Nil where somebody else starts the new server.
  let newServer: (any NewServer)?
  let units: (any ServiceUnits)?
  let target: TargetPlaces
  let transfers: Transfers
  let program: FilePath
  let run: Run

  /// What the new server has to know.
  var word: String { "\(plan.id)" }
}

/// Stops the old server, copies what is left, starts the new one, and proves it. Whatever fails, the
/// old server is started again and proved.
///
/// - Returns: how long nobody was served.
func cutOver(_ cutover: Cutover) throws -> MigrationReport.Downtime {
  let (run, plan, cluster) = (cutover.run, cutover.plan, cutover.cluster)
  let folder = cluster.directory.folder
  run.observer.noticed(
    "should this process be killed now, this brings the old server back: "
      + SourceMarker.undoLine(FilePath(plan.dataDirectory)))
  if !cluster.facts.isStandby { try cluster.session.leaveWord(cutover.word) }
  // What the stop would have to write.
  try cluster.checkpoint(run.cancellation)
  let client = try DowntimeWatch(cluster.target, cutover.newServer?.connection)
  defer { _ = client.end() }
  let budget = try plan.mostDowntime.map {
    try BudgetWatch($0, plan.onOverrun, run)
  }
  defer { budget?.end() }
  let stopped = try StoppedServer(
    cluster, cutover.server, within: plan.stopLimit, program: cutover.program,
    units: cutover.units, run)
  var marker: SourceMarker?
  var hasBegun = false
  do {
    var left = try SourceMarker.leave(in: folder, plan)
    marker = left
    let copy = Stopwatch()
    try cluster.requireUnchangedLayout()
    try run.phase(.finalPass, "\(plan.target)", failsAs: .copying) {
      let pass = try cutover.transfers.pass(isLive: false, isFull: plan.finalPass == .full)
      run.observer.noticed(pass.sentence)
      try cutover.target.makeLinks()
      try cutover.target.sync()
      try stopped.requireUntouched()
      try cutover.transfers.copyControlFile()
      try cutover.target.unmark()
      try cutover.target.sync()
    }
    budget?.end()
    // The last moment to say no.
    try run.cancellation.checkpoint()
    let copySeconds = copy.seconds
    // Two servers of one cluster must never run: nobody but this process starts the old one now.
    try stopped.endWatch()
    try left.move()
    marker = left
    // From here on nobody can start it; whoever did a moment before must be found.
    try cutover.server.requireNone()
    TestHooks.reached("moved")
    let start = try cutover.newServer.map { server in
      let watch = Stopwatch()
      try run.phase(.start, server.startLine, failsAs: .postgres) {
        hasBegun = true
        try server.start(run.observer) { try cutover.prove($0) }
      }
      return watch.seconds
    }
    return MigrationReport.Downtime(
      seenByClient: start == nil ? nil : client.end(), stop: stopped.stopSeconds,
      copy: copySeconds, start: start)
  } catch {
    throw rollBack(cutover, stopped, &marker, hasBegun ? cutover.newServer : nil, after: error)
  }
}

extension Cutover {
  /// - Throws: `.precondition` where it is another cluster that is served.
  fileprivate func prove(_ session: Session) throws {
    guard try session.isInRecovery() == cluster.facts.isStandby else {
      throw StillError(.postgres, "it is still recovering")
    }
    guard try session.facts().systemIdentifier == cluster.facts.systemIdentifier else {
      throw StillError(.precondition, "the new server serves another cluster")
    }
    guard !cluster.facts.isStandby else { return }
    try session.requireWord(word)
    try session.forgetWord()
  }
}

/// - Parameter newServer: where its start was tried.
/// - Returns: the failure, with what became of the old server.
private func rollBack(
  _ cutover: Cutover, _ stopped: StoppedServer, _ marker: inout SourceMarker?,
  _ newServer: (any NewServer)?, after failure: any Error
) -> any Error {
  do {
    try newServer?.stop(within: cutover.plan.stopLimit)
    try marker?.takeBack()
    marker = nil
    try? cutover.target.remark()
  } catch {
    // The old one must not run beside it.
    guard var failure = failure as? StillError else { return failure }
    failure.further.append(
      "the old server was not started again: \((error as? StillError)?.message ?? "\(error)")")
    failure.hint =
      "See that no server runs on \(cutover.plan.target), then: "
      + SourceMarker.undoLine(FilePath(cutover.plan.dataDirectory))
    return failure
  }
  let told = stopped.bringBack(after: failure)
  if let session = stopped.session { try? session.forgetWord() }
  return told
}
