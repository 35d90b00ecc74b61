import StillArchive
import StillModel
import StillPostgres
import StillSystem
import StillVolumes
import SystemPackage

/// What the caller wants of a backup.
public struct BackupRequest: Sendable {
  /// Absolute.
  public var dataDirectory: FilePath
  /// Absolute.
  public var repository: FilePath
  public var cluster: String?
  /// Nil for the best mode that can be had.
  public var consistency: Consistency?
  public var compression = Compression.standard
  public var snapshotSize = SnapshotSize.automatic
  public var extending = ExtensionPolicy()
  /// Threads that compress.
  public var workers: Int
  /// Bytes that are read in a second at most.
  public var rateLimit: UInt64?
  /// Seconds after which the guard ends the freeze window.
  public var freezeDeadline = 5.0
  public var allowsRepositoryOnOrigin = false
  /// False reads live files where volumes could be frozen, in mode `online`.
  public var usesSnapshots = true
  /// Seconds that the server may take to stop.
  public var stopTimeout = 60.0
  /// Nil for those that are found out.
  public var serverCommands: ServerCommands?
  /// This program, which is its own sentinel.
  public var program: FilePath = "/proc/self/exe"

  public init(dataDirectory: FilePath, repository: FilePath, workers: Int) {
    self.dataDirectory = dataDirectory
    self.repository = repository
    self.workers = workers
  }
}

extension BackupPlan {
  /// Decides everything that a backup does, and refuses what cannot be done. Changes nothing.
  ///
  /// - Throws: `.precondition` with what stands in the way of the mode that was asked for.
  static func make(
    for request: BackupRequest, of cluster: LiveCluster, with provider: some SnapshotProvider
  ) throws -> BackupPlan {
    try cluster.requireOutside(request.repository)
    let name = request.cluster ?? cluster.standardName
    let history = FillHistory(of: try? Repository.open(request.repository).cluster(name))
    let freezable =
      request.usesSnapshots
      ? try Freezable(cluster.layout, for: request, history, with: provider) : Freezable()
    let choice = try Choice.make(request.consistency, freezable)
    if choice.consistency == .online {
      do { try BackupMode.requirePossible(cluster.facts) } catch var failure as StillError {
        // Nobody asked for this mode: it was the last that was left.
        if request.consistency == nil { failure.further += freezable.obstacles.map(\.message) }
        throw failure
      }
    }
    let stopping =
      try choice.consistency == .shutdown
      ? Stopping(
        control: cluster.serverSwitch(request, units: provider.units).control,
        limit: request.stopTimeout, isDownWhileCopying: choice.volumes.isEmpty)
      : nil
    return BackupPlan(
      id: RunID(at: Clock.now()), cluster: name,
      repository: request.repository.appending(name).string, consistency: choice.consistency,
      reason: choice.reason, advice: freezable.obstacles.map(\.advice),
      compression: request.compression.description, workers: request.workers,
      layout: cluster.layout, volumes: choice.volumes, stopping: stopping,
      configuration: cluster.outsideConfiguration())
  }

  /// A mode, why it is that one, and which volumes are frozen in it.
  private struct Choice {
    var consistency: Consistency
    var reason: String
    var volumes: [Volume]

    /// - Parameter wish: nil for the best that can be had.
    static func make(_ wish: Consistency?, _ freezable: Freezable) throws -> Choice {
      let (volumes, obstacles) = (freezable.volumes, freezable.obstacles)
      switch wish {
      case nil where obstacles.isEmpty:
        return Choice(
          consistency: .snapshot,
          reason: "every volume of the cluster is a logical volume that can be frozen",
          volumes: volumes)
      case nil:
        let why = obstacles.map(\.message).joined(separator: "; ")
        return Choice(
          consistency: .online, reason: "not everything can be frozen at one instant: \(why)",
          volumes: volumes)
      case .snapshot:
        guard var first = obstacles.first else { break }
        first.further += obstacles.dropFirst().map(\.message)
        throw first
      case .shutdown where !obstacles.isEmpty:
        // What cannot be frozen has to be copied while the server is down; then so can the rest.
        return Choice(consistency: .shutdown, reason: "it was asked for", volumes: [])
      case .online, .shutdown: break
      }
      return Choice(
        consistency: wish ?? .snapshot, reason: "it was asked for", volumes: volumes)
    }
  }
}

extension StillError {
  /// What stands in the way, and the way out, in one line.
  fileprivate var advice: String { hint.map { "\(message). \($0)" } ?? message }
}
