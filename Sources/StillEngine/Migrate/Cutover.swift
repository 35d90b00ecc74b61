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
  let newServer: ServerSwitch?
  let units: (any ServiceUnits)?
  let target: TargetFolder
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
  let client = try DowntimeWatch(cluster.target)
  defer { _ = client.end() }
  let budget = try plan.mostDowntime.map {
    try BudgetWatch($0, plan.onOverrun, run)
  }
  defer { budget?.end() }
  let stopped = try StoppedServer(
    cluster, cutover.server, within: plan.stopLimit, program: cutover.program,
    units: cutover.units, run)
  var marker: SourceMarker?
  do {
    var left = try SourceMarker.leave(in: folder, plan)
    marker = left
    let copy = Stopwatch()
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
    TestHooks.reached("moved")
    let start = try cutover.newServer.map { server in
      let watch = Stopwatch()
      try run.phase(.start, server.control.startLine, failsAs: .postgres) {
        try startAndProve(server, cutover)
      }
      return watch.seconds
    }
    return MigrationReport.Downtime(
      seenByClient: start == nil ? nil : client.end(), stop: stopped.stopSeconds,
      copy: copySeconds, start: start)
  } catch {
    throw rollBack(cutover, stopped, &marker, after: error)
  }
}

private func startAndProve(_ server: ServerSwitch, _ cutover: Cutover) throws {
  let cluster = cutover.cluster
  let directory = try DataDirectory.open(FilePath(server.dataDirectory))
  let session = try server.ensureUp(
    units: nil, notice: cutover.run.observer.noticed
  ) { postmaster in
    let session = try Session.open(ConnectionTarget(postmaster: postmaster))
    try session.requireServing(directory)
    guard try session.isInRecovery() == cluster.facts.isStandby else {
      throw StillError(.postgres, "it is still recovering")
    }
    return session
  }.proof
  guard try session.facts().systemIdentifier == cluster.facts.systemIdentifier else {
    throw StillError(.postgres, "the new server has another system identifier")
  }
  guard !cluster.facts.isStandby else { return }
  try session.requireWord(cutover.word)
  try session.forgetWord()
}

/// - Returns: the failure, with what became of the old server.
private func rollBack(
  _ cutover: Cutover, _ stopped: StoppedServer, _ marker: inout SourceMarker?,
  after failure: any Error
) -> any Error {
  do {
    if let server = cutover.newServer, let folder = try? server.folder,
      let postmaster = try Postmaster.running(in: folder)
    {
      try server.stop(postmaster, within: cutover.plan.stopLimit, units: nil, lifeline: nil)
    }
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
