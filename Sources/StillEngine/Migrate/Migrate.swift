import StillModel
import StillPostgres
import StillSystem
import StillTransfer
import StillVolumes
import SystemPackage

/// Decides what a migration would do, and changes nothing.
public func planMigration(
  _ request: MigrationRequest, with provider: some SnapshotProvider, _ observer: any Observer,
  discovery: LayoutDiscovery? = nil
) throws -> MigrationPlan {
  let run = Run(observer)
  let cluster = try run.phase(.discover, failsAs: .precondition) {
    try SourceMarker.requireHere(OpenFolder.open(request.dataDirectory))
    return try LiveCluster.discover(request.dataDirectory, discovery ?? .current())
  }
  return try run.phase(.plan, failsAs: .precondition) {
    _ = try Rsync.find()
    return try MigrationPlan.make(for: request, of: cluster, with: provider, run.cancellation).plan
  }
}

/// Moves a running cluster: discover ─▶ plan ─▶ pass, pass… ─▶ stop ─▶ final pass ─▶ start ─▶ report.
///
/// - Parameter cancellation: orders it to stop; then the old server runs, as before.
/// - Throws: `StillError` with the phase that failed; the old server runs then, or the failure says how
///   it is started.
public func migrate(
  _ request: MigrationRequest, with provider: some SnapshotProvider, _ observer: any Observer,
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
  if request.usesSnapshots { run.makeWay(on: cluster.layout, with: provider) }
  let (plan, server, newServer, files, rsync) = try run.phase(.plan, failsAs: .precondition) {
    let rsync = try Rsync.find()
    let made = try MigrationPlan.make(for: request, of: cluster, with: provider, cancellation)
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
    plan, rsync, to: files, keepsNanoseconds: keepsNanoseconds, rateLimit: request.rateLimit)
  let passes = Passes(
    plan: plan, cluster: cluster, target: target, transfers: transfers, provider: provider, run: run
  )
  guard !plan.isRehearsal else {
    try passes.make { _ in }
    return MigrationReport(
      plan: plan, passes: transfers.passes, downtime: nil,
      next: ["nothing has moved; what is at \(plan.target) is no cluster yet"])
  }
  let downtime = try passes.make { look in
    try cutOver(
      Cutover(
        plan: plan, cluster: cluster, server: server, commands: request.serverCommands,
        pulledAs: request.pulledAs,
        newServer: newServer, units: provider.units, target: target, transfers: transfers,
        look: look, program: request.program, run: run))
  }
  let check = request.checksAfter ? check(transfers, plan, run) : nil
  return MigrationReport(
    plan: plan, passes: transfers.passes, downtime: downtime, check: check,
    next: plan.next(newServer != nil, files, pulledAs: request.pulledAs))
}

/// It has moved: whatever the check comes to, that stays so.
private func check(
  _ transfers: Transfers, _ plan: MigrationPlan, _ run: Run
) -> MigrationReport.Check {
  do {
    return try run.phase(.check, "\(plan.target)", failsAs: .copying) { try transfers.check(run) }
  } catch {
    return .init(files: 0, unlike: [], failure: (error as? StillError)?.message ?? "\(error)")
  }
}

extension MigrationReport.Pass {
  /// `pass 2: compared 12 of 980 files, sent 9, 31.0 MiB, in 1.2 s`
  public var sentence: String {
    "\(source == .stopped ? "final pass" : "pass \(number)"): compared \(compared) of \(files) files, sent "
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

  fileprivate func next(
    _ isStarted: Bool, _ files: any TargetFiles, pulledAs: String?
  ) -> [String] {
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
        + "stop the new server, then: "
        + SourceMarker.undoLine(FilePath(dataDirectory), pulledAs: pulledAs)
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
