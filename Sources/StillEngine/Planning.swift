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
  public var format = BackupFormat.tar
  /// Of archives.
  public var compression = Compression.standard
  public var snapshotSize = SnapshotSize.automatic
  public var extending = ExtensionPolicy()
  /// Threads that read, check and compress.
  public var workers: Int
  /// What the manifest holds of every file.
  public var manifestChecksum = ChecksumAlgorithm.sha256
  /// Whether a page that does not have its checksum makes the backup fail.
  public var wantsGoodPages = false
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
  /// Whether the server may be down until everything is copied where volumes could be frozen but for
  /// an obstacle that passes.
  public var copiesWhileDown = false
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
    try cluster.requireOwnFolders()
    let name = request.cluster ?? cluster.standardName
    let earlier = try? Repository.open(request.repository).cluster(name)
    try earlier?.requireBackups(of: cluster.facts.systemIdentifier)
    let history = FillHistory(of: earlier)
    let freezable =
      request.usesSnapshots
      ? try Freezable(
        cluster.layout, size: request.snapshotSize, history,
        destination: request.allowsRepositoryOnOrigin ? nil : request.repository, with: provider)
      : Freezable()
    let choice = try Choice.make(request, freezable)
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
        cluster.serverSwitch(commands: request.serverCommands, units: provider.units), request,
        copied: choice.volumes.isEmpty ? cluster.sizeToCopy() : nil,
        isDownWhileCopying: choice.volumes.isEmpty)
      : nil
    let plan = BackupPlan(
      id: RunID(at: Clock.now()), cluster: name,
      repository: request.repository.appending(name).string, consistency: choice.consistency,
      reason: choice.reason, advice: freezable.obstacles.map(\.advice),
      format: request.format,
      compression: (request.format == .tar ? request.compression : .none).description,
      workers: request.workers,
      layout: cluster.layout, volumes: choice.volumes, stopping: stopping,
      configuration: cluster.outsideConfiguration())
    // The room that an earlier run has wasted is given back before this one writes.
    if (try? earlier?.hasPartials()) != true {
      try plan.requireRoom(request)
    }
    return plan
  }

  /// A mode, why it is that one, and which volumes are frozen in it.
  private struct Choice {
    var consistency: Consistency
    var reason: String
    var volumes: [Volume]

    static func make(_ request: BackupRequest, _ freezable: Freezable) throws -> Choice {
      let (volumes, obstacles) = (freezable.volumes, freezable.obstacles)
      switch request.consistency {
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
        guard let failure = StillError(together: obstacles) else { break }
        throw failure
      case .shutdown where !obstacles.isEmpty:
        // Seconds were asked for; hours are another decision, and the obstacle may be gone tomorrow.
        if !freezable.hasLastingObstacle, !request.copiesWhileDown,
          var failure = StillError(together: obstacles)
        {
          failure.status = .precondition
          failure.hint =
            (failure.hint.map { $0 + " " } ?? "")
            + "Or let the server be down until everything is copied: --copy-while-down."
          throw failure
        }
        // What cannot be frozen has to be copied while the server is down; then so can the rest.
        return Choice(consistency: .shutdown, reason: "it was asked for", volumes: [])
      case .online, .shutdown: break
      }
      return Choice(
        consistency: request.consistency ?? .snapshot, reason: "it was asked for", volumes: volumes)
    }
  }
}

extension BackupPlan.Stopping {
  fileprivate init(
    _ server: ServerSwitch, _ request: BackupRequest, copied: UInt64?, isDownWhileCopying: Bool
  ) {
    self.init(
      control: server.control, limit: request.stopTimeout,
      isDownWhileCopying: isDownWhileCopying, dependants: server.dependants,
      bytesWhileDown: copied)
  }
}

extension StillError {
  /// The first, with what the others say.
  fileprivate init?(together failures: [StillError]) {
    guard let first = failures.first else { return nil }
    self = first
    further += failures.dropFirst().map(\.message)
  }

  /// What stands in the way, and the way out, in one line.
  fileprivate var advice: String { hint.map { "\(message). \($0)" } ?? message }
}
