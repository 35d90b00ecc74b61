import StillModel
import StillPostgres
import StillSystem
import SystemPackage

/// What an undone migration came to.
public struct UndoResult: Hashable, Sendable, Codable {
  public var dataDirectory: String
  /// Whether the old server was started; if not, what starts it.
  public var isStarted: Bool
  public var startLine: String
}

/// Makes the old data directory of a migration a cluster again, and starts its server.
///
/// - Throws: `.precondition` where there was no migration, or a server runs on its target.
public func undoMigration(
  of dataDirectory: FilePath, _ observer: any Observer
) throws -> UndoResult {
  let run = Run(observer)
  let folder = try OpenFolder.open(dataDirectory)
  guard var marker = try SourceMarker.find(in: folder) else {
    throw StillError(
      .precondition, "\(dataDirectory) is of no migration: it holds no \(SourceMarker.name)",
      hint: "Name the old data directory with --pgdata.")
  }
  if case .folder(let path) = marker.target, let target = try? OpenFolder.open(FilePath(path)),
    let other = try Postmaster.running(in: target)
  {
    throw StillError(
      .precondition, "the new server runs on \(path) (pid \(other.processID))",
      hint: "Stop it first; what it has written since it was started is not in the old cluster.")
  }
  let control = marker.control
  if try Postmaster.running(in: folder) == nil { try marker.takeBack() }
  if case .unit = control {
    // A unit belongs to root.
    return UndoResult(
      dataDirectory: dataDirectory.string, isStarted: false, startLine: control.startLine)
  }
  let server = ServerSwitch(
    control: control, dataDirectory: dataDirectory.string, environment: Environment.all, log: nil)
  try run.phase(.start, control.startLine, failsAs: .postgres) {
    _ = try server.ensureUp(units: nil, notice: observer.noticed) { postmaster in
      let session = try Session.open(ConnectionTarget(postmaster: postmaster))
      try session.requireServing(DataDirectory.open(dataDirectory))
      try? session.forgetWord()
    }
  }
  return UndoResult(
    dataDirectory: dataDirectory.string, isStarted: true, startLine: control.startLine)
}
