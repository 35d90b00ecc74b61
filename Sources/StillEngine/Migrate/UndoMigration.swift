import StillModel
import StillPostgres
import StillSystem
import StillTransfer
import SystemPackage

/// What the caller knows of the new server, and this host cannot.
public struct UndoRequest: Sendable {
  /// Absolute.
  public var dataDirectory: FilePath
  /// No server runs on the target, and none will.
  public var targetIsDown = false
  /// What the new server has written since it was started may be given up.
  public var discardsNew = false
  /// The host that asks for it, as the plan of a migration names hosts, and the way there; nil where the
  /// migration's own way is taken.
  public var caller: (host: String, remoteShell: [String])?

  public init(dataDirectory: FilePath) { self.dataDirectory = dataDirectory }
}

/// What an undone migration came to.
public struct UndoResult: Hashable, Sendable, Codable {
  public var dataDirectory: String
  /// Whether the old server was started; if not, what starts it.
  public var isStarted: Bool
  public var startLine: String
}

/// Makes the old data directory of a migration a cluster again, and starts its server. The new one can
/// then not be started any more.
///
/// - Throws: `.precondition` where there was no migration, or the new server runs, or nobody can say, or
///   it has written something; `.busy` while the migration is under way.
public func undoMigration(
  _ request: UndoRequest, _ observer: any Observer
) throws -> UndoResult {
  let run = Run(observer)
  let folder = try OpenFolder.open(request.dataDirectory)
  guard let marker = try SourceMarker.find(in: folder) else {
    throw StillError(
      .precondition,
      "\(request.dataDirectory) is of no migration: it holds no \(SourceMarker.name)",
      hint: "Name the old data directory with --pgdata.")
  }
  guard let lock = try FolderLock.take(folder) else {
    throw StillError(
      .busy, "the migration of \(request.dataDirectory) is under way", hint: "Wait for its end.")
  }
  defer { withExtendedLifetime(lock) {} }
  // Else the words of the note would start another folder's server.
  guard try folder.path.resolved() == (try? FilePath(marker.server.dataDirectory).resolved())
  else {
    throw StillError(
      .precondition,
      "the note in \(request.dataDirectory) is of \(marker.server.dataDirectory)",
      hint: "Put the folder back to its old path, then undo the migration.")
  }
  let wasMoved = try marker.isMoved
  if wasMoved {
    try run.phase(.plan, failsAs: .precondition) { try giveUpTarget(marker, request) }
  }
  if try Postmaster.running(in: folder) == nil { try marker.takeBack() }
  let control = marker.server.control
  if case .unit = control {
    // A unit belongs to root.
    return UndoResult(
      dataDirectory: request.dataDirectory.string, isStarted: false, startLine: control.startLine)
  }
  try run.phase(.start, control.startLine, failsAs: .postgres) {
    _ = try marker.server.ensureUp(units: nil, notice: observer.noticed) { postmaster in
      let session = try Session.open(ConnectionTarget(postmaster: postmaster))
      try session.requireServing(DataDirectory.open(request.dataDirectory))
      try? marker.word.forget(with: session)
    }
  }
  try marker.remove()
  if wasMoved, !request.targetIsDown, let files = try? marker.targetFiles(request) {
    // What is there is a pass, from which another migration may go on.
    do { try TargetPlaces(files: files, plan: marker.plan).makeMarks() } catch {
      observer.noticed(
        "empty \(marker.plan.target) before another migration to it; it could not be marked: \(error)"
      )
    }
  }
  return UndoResult(
    dataDirectory: request.dataDirectory.string, isStarted: true, startLine: control.startLine)
}

/// Sees that no server runs on the target, that nothing is lost with it, and that none can be started.
private func giveUpTarget(_ marker: SourceMarker, _ request: UndoRequest) throws {
  let target = marker.plan.target
  if request.targetIsDown { return }
  var wayOut =
    "See to it that no server runs there, and none can be started; then --target-is-down."
  if let pulledAs = marker.pulledAs, request.caller == nil {
    wayOut = "Have the target ask for it: pgstill migrate --undo --from \(pulledAs). Or: " + wayOut
  }
  guard let files = try marker.targetFiles(request) else {
    throw StillError(
      .precondition, "nobody can say from here whether a server runs on \(target)", hint: wayOut)
  }
  do {
    let places = TargetPlaces(files: files, plan: marker.plan)
    try requireDown(marker, files)
    guard try !places.isGone() else {
      throw StillError(
        .precondition, "what was moved is not at \(target) any more", hint: wayOut)
    }
    if let bytes = try places.control() { try requireUnused(bytes, marker, request) }
    try places.disarm()
    // Somebody may have started it meanwhile.
    TestHooks.reached("disarmed")
    try requireDown(marker, files)
  } catch var failure as StillError where failure.status == .failed {
    failure.further.append(failure.hint ?? "")
    failure.hint = wayOut
    throw failure
  }
}

private func requireDown(_ marker: SourceMarker, _ files: any TargetFiles) throws {
  guard let other = try files.server(of: marker.plan.targetPath) else { return }
  throw StillError(
    .precondition, "the new server runs on \(marker.plan.target) (pid \(other))",
    hint:
      "Stop it first; what it has written since it was started is not in the old cluster. If it is "
      + "another process that has this number since a reboot: --target-is-down.")
}

/// A server writes its control file when it is started. Whether it has written anything else nobody can
/// say of one that crashed: it may have done so without a checkpoint.
private func requireUnused(
  _ bytes: [UInt8], _ marker: SourceMarker, _ request: UndoRequest
) throws {
  guard try bytes != marker.controlFile().bytes, !request.discardsNew else { return }
  throw StillError(
    .precondition,
    "the new server has been started: what it has written since is not in the old cluster",
    hint: "If nothing is, or it may be lost: --discard-new.")
}

extension SourceMarker {
  /// Where the target can be looked at; nil for a daemon, which says nothing.
  fileprivate func targetFiles(_ request: UndoRequest) throws -> (any TargetFiles)? {
    if let caller = request.caller {
      // Of a host that is not the target, it would be seen that no server runs there.
      guard case .ssh(caller.host, _) = plan.target else {
        throw StillError(
          .precondition,
          "the cluster was moved to \(plan.target), and it is \(caller.host) that asks",
          hint: "Ask from there, or on this host: pgstill migrate --undo --pgdata.")
      }
      return RemoteFiles(shell: RemoteShell(host: caller.host, words: caller.remoteShell))
    }
    switch plan.target {
    case .folder: return LocalFiles()
    case .ssh(let host, _):
      return remoteShell.map { RemoteFiles(shell: RemoteShell(host: host, words: $0)) }
    case .daemon: return nil
    }
  }
}
