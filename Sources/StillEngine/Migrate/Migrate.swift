import StillModel
import StillPostgres
import StillSystem
import StillTransfer
import StillVolumes
import SystemPackage

/// Decides what a migration would do, and changes nothing.
public func planMigration(
  _ request: MigrationRequest, units: (any ServiceUnits)?, _ observer: any Observer,
  discovery: LayoutDiscovery? = nil
) throws -> MigrationPlan {
  let run = Run(observer)
  let cluster = try run.phase(.discover, failsAs: .precondition) {
    try SourceMarker.requireHere(OpenFolder.open(request.dataDirectory))
    return try LiveCluster.discover(request.dataDirectory, discovery ?? .current())
  }
  return try run.phase(.plan, failsAs: .precondition) {
    _ = try Rsync.find()
    return try MigrationPlan.make(for: request, of: cluster, units: units, run.cancellation).plan
  }
}

/// Moves a running cluster: discover ─▶ plan ─▶ pass, pass… ─▶ stop ─▶ final pass ─▶ start ─▶ report.
///
/// - Parameter cancellation: orders it to stop; then the old server runs, as before.
/// - Throws: `StillError` with the phase that failed; the old server runs then, or the failure says how
///   it is started.
public func migrate(
  _ request: MigrationRequest, units: (any ServiceUnits)?, _ observer: any Observer,
  _ cancellation: Cancellation, discovery: LayoutDiscovery? = nil
) throws -> MigrationReport {
  let run = Run(observer, cancellation)
  let (cluster, lock) = try run.phase(
    .discover, request.dataDirectory.string, failsAs: .precondition
  ) {
    let folder = try OpenFolder.open(request.dataDirectory)
    // From before the first pass: another run, with the same target, would copy the old cluster over the
    // new one.
    guard let lock = try FolderLock.take(folder) else {
      throw StillError(
        .busy, "another run is at work in \(request.dataDirectory)", hint: "Wait for it to end.")
    }
    try SourceMarker.requireHere(folder)
    return (try LiveCluster.discover(request.dataDirectory, discovery ?? .current()), lock)
  }
  defer { withExtendedLifetime(lock) {} }
  let (plan, server, newServer, files, rsync) = try run.phase(.plan, failsAs: .precondition) {
    let rsync = try Rsync.find()
    let made = try MigrationPlan.make(for: request, of: cluster, units: units, cancellation)
    if made.newServer != nil, !request.acceptsRebuild { try made.plan.requireSorted() }
    return (made.plan, made.server, made.newServer, made.files, rsync)
  }
  for line in plan.advice { observer.noticed(line) }

  let target = TargetPlaces(files: files, plan: plan)
  let keepsNanoseconds = try StillModel.phase("preparing \(plan.target)", failsAs: .copying) {
    try target.prepare()
    return try target.keepsNanoseconds()
  }
  let transfers = Transfers(
    plan, rsync, to: files, keepsNanoseconds: keepsNanoseconds, rateLimit: request.rateLimit, run)
  try passWhileRunning(transfers, plan, cluster, target, run)
  guard !plan.isRehearsal else {
    return MigrationReport(
      plan: plan, passes: transfers.passes, downtime: nil,
      next: ["nothing has moved; what is at \(plan.target) is no cluster yet"])
  }
  let downtime = try cutOver(
    Cutover(
      plan: plan, cluster: cluster, server: server, commands: request.serverCommands,
      newServer: newServer,
      units: units,
      target: target, transfers: transfers, program: request.program, run: run))
  return MigrationReport(
    plan: plan, passes: transfers.passes, downtime: downtime,
    next: plan.next(newServer != nil, files))
}

/// Passes until the next one would take no less time than the one before, or little enough.
private func passWhileRunning(
  _ transfers: Transfers, _ plan: MigrationPlan, _ cluster: LiveCluster, _ target: TargetPlaces,
  _ run: Run
) throws {
  /// Of the downtime that is allowed, what the final pass may take.
  let share = 0.5
  /// Seconds below which another pass gains nothing: rsync itself takes so long to begin and end.
  let enough = max(1, (plan.mostDowntime ?? 2) * share)
  var last = Double.infinity
  for number in 1...plan.mostPasses {
    let pass = try run.phase(.pass, "\(number), \(plan.target)", failsAs: .copying) {
      // It would be found with the server down.
      try cluster.requireUnchangedLayout()
      // What is only in the server's memory would be written by the stop, and copied by the final pass.
      try cluster.checkpoint(run.cancellation)
      let pass = try transfers.pass(isLive: true)
      try target.sync(run.cancellation)
      return pass
    }
    run.observer.noticed(pass.sentence)
    // The first says nothing of the next: it copied everything.
    if number > 1, pass.seconds <= enough || pass.seconds > last * 0.7 { return }
    last = pass.seconds
  }
}

extension MigrationReport.Pass {
  /// `pass 2: compared 12 of 980 files, sent 9, 31.0 MiB, in 1.2 s`
  public var sentence: String {
    "\(isFinal ? "final pass" : "pass \(number)"): compared \(compared) of \(files) files, sent "
      + "\(sent), \(ByteCount.text(bytes)), in \(Figures.duration(seconds))"
  }
}

extension MigrationPlan {
  /// A server that is started before its indexes are rebuilt gives wrong answers.
  fileprivate func requireSorted() throws {
    let count = rebuild.reduce(0) { $0 + $1.indexes.count }
    guard count > 0 else { return }
    throw StillError(
      .precondition,
      "\(count) \(count == 1 ? "index" : "indexes") would be wrong on \(target), which sorts text "
        + "otherwise, until they are rebuilt",
      hint:
        "See them with --dry-run. Then --no-start, and rebuild them before anybody is let in; or "
        + "--reindex-after, if nobody minds.")
  }

  fileprivate func next(_ isStarted: Bool, _ files: any TargetFiles) -> [String] {
    var lines: [String] = []
    if !files.makesLinks {
      lines += links.map { link in
        "make a link over there: "
          + ShellWords.line(["ln", "-s", link.target, "\(targetPath)/\(link.path)"])
      }
    }
    if !isStarted { lines.append("start the new server on \(target)") }
    // Before anybody writes into a unique index that no longer finds what is there.
    lines += rebuild.map { "in database \($0.database): \($0.statements)" }
    lines += [
      "the old cluster is as it was when it stopped; nobody can start it by mistake. To go back, "
        + "stop the new server, then: \(SourceMarker.undoLine(FilePath(dataDirectory)))"
        + (isStarted
          ? " (it refuses first, for what the new server has written would be lost: --discard-new)"
          : ""),
      "see to it that the new server is started at the next boot, and the old one is not",
      "run ANALYZE where plans matter: statistics of the server's activity moved, those of the "
        + "operating system's cache did not",
      "back the new cluster up: pgstill backup --pgdata \(target)",
    ]
    return lines
  }
}
