import StillModel
import StillPostgres
import StillSystem
import StillVolumes
import SystemPackage

/// Lets `body` read the files of a server that was shut down in order. Where every volume can be
/// frozen, the server is down for the freeze only; else until `body` calls `letServerRun`, or ends.
///
/// - Returns: what `body` made, and what came of the release.
/// - Throws: also where the server does not stop, or does not come back, which is then told first.
func withStoppedSource<Result>(
  _ plan: BackupPlan, of cluster: LiveCluster, _ request: BackupRequest,
  with provider: some SnapshotProvider, _ run: Run, _ body: (ClusterSource) throws -> Result
) throws -> (Result, ReleaseReport) {
  if let stopping = plan.stopping { run.observer.noticed(stopping.sentence) }
  let server = try cluster.serverSwitch(commands: request.serverCommands, units: provider.units)
  guard plan.volumes.isEmpty else {
    var back: StoppedServer?
    let order = plan.freezeOrder(request)
    let (result, release) = try withFrozenSet(
      order, of: cluster, with: provider, run,
      at: { freeze in
        try flush(order, cluster, run)
        let stopped = try StoppedServer(
          cluster, server, within: request.stopTimeout, program: request.program,
          units: provider.units, for: "backup", run)
        back = stopped
        do {
          let frozen = try freeze { try stopped.flushed() }
          stopped.bringBackOrGoOn()
          return frozen
        } catch {
          throw stopped.bringBack(after: error)
        }
      }
    ) { frozen in
      let source = ClusterSource(
        frozen: frozen, flushed: frozen.lsnBefore, isStill: true, server: back)
      do {
        try requireShutDown(source, plan)
        return try body(source)
      } catch {
        throw back?.orItsOwn(error) ?? error
      }
    }
    try back?.requireBack(published: plan.published, release)
    return (result, release)
  }
  try plan.requireRoom(request)
  try cluster.session.checkpoint()
  let stopped = try StoppedServer(
    cluster, server, within: request.stopTimeout, program: request.program,
    units: provider.units, for: "backup", run)
  let result: Result
  do {
    let source = ClusterSource(
      frozen: nil, flushed: try stopped.flushed(), isStill: true, server: stopped)
    try requireShutDown(source, plan)
    result = try body(source)
    stopped.bringBackOrGoOn()
  } catch {
    throw stopped.bringBack(after: error)
  }
  try stopped.requireBack(published: plan.published)
  return (result, ReleaseReport())
}

extension BackupPlan {
  /// The folder that the backup is going to be.
  fileprivate var published: String { "\(repository)/\(id)" }
}

extension ClusterSource {
  /// Everything is copied: a server that was down for that comes back.
  func letServerRun() throws {
    guard let server, frozen == nil else { return }
    try server.requireUntouched()
    server.bringBackOrGoOn()
  }
}

/// What is copied has to be what the server left when it was shut down.
private func requireShutDown(_ source: ClusterSource, _ plan: BackupPlan) throws {
  let control = try DataDirectory.inspect(source.folder(plan.layout.dataDirectory)).control
  guard control.state.isShutDown else {
    throw StillError(
      .copying, "the control file to be copied says \(control.state.text), not shut down",
      hint: "Somebody started the server before it was frozen; run the backup again.")
  }
  try source.server?.requireLeft(control)
}

extension LiveCluster {
  /// How the server of this cluster is stopped and started.
  ///
  /// - Throws: `.precondition` where that is not certain.
  func serverSwitch(
    commands: ServerCommands?, units: (any ServiceUnits)?
  ) throws -> ServerSwitch {
    guard let postmaster = try Postmaster.running(in: directory.folder) else {
      throw StillError(.precondition, "the server has been stopped by somebody else")
    }
    return try ServerSwitch.find(
      of: postmaster, in: directory, configFile: facts.configuration.configFile,
      logCollector: try session.logCollectorFolder(), commands: commands, units: units)
  }
}
