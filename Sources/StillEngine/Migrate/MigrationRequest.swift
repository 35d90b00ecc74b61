import StillModel
import StillPostgres
import SystemPackage

/// What the caller wants of a migration.
public struct MigrationRequest: Sendable {
  /// Absolute.
  public var dataDirectory: FilePath
  public var target: Destination
  /// Where tablespaces go: old path to new path.
  public var tablespaceMapping: [(old: FilePath, new: FilePath)] = []
  /// Where WAL goes, if it shall not lie in the data directory.
  public var walFolder: FilePath?
  /// Nil for the best that can be had.
  public var finalPass: FinalPass?
  public var mostPasses = 5
  /// In seconds.
  public var mostDowntime: Double?
  public var onOverrun = OverrunPolicy.rollback
  /// Whether the new server is started.
  public var startsServer = true
  /// What starts it; nil for what starts the old one, with the other folder.
  public var startCommand: String?
  /// For another host: ssh and its options.
  public var remoteShell = ["ssh", "-o", "BatchMode=yes"]
  /// What the target calls this cluster, `[USER@]HOST:DIR`, where that asked for the move; nil else. Then
  /// `remoteShell` leads there for this run only.
  public var pulledAs: String?
  /// Where the new server's clients find it: libpq's connection string; nil for the other host, by its
  /// name, and the old server's port.
  public var connection: String?
  /// For an rsync daemon: where the module lies on its host; absolute.
  public var moduleFolder: FilePath?
  /// Where PostgreSQL's programs are on the other host; nil for where they are here.
  public var programs: FilePath?
  /// It is known that indexes have to be rebuilt on the other host, and that the new server serves before.
  public var acceptsRebuild = false
  /// The passes are made, the old server runs on, and nothing moves.
  public var isRehearsal = false
  /// Everything is compared once more when the new server is at work.
  public var checksAfter = false
  /// Seconds that the old server may take to stop.
  public var stopTimeout = 60.0
  /// Nil for those that are found out.
  public var serverCommands: ServerCommands?
  /// Bytes that are sent in a second at most, while the server runs.
  public var rateLimit: UInt64?
  /// False reads the live files where all volumes could be frozen.
  public var usesSnapshots = true
  public var snapshotSize = SnapshotSize.automatic
  public var extending = ExtensionPolicy()
  /// Seconds after which the guard ends the freeze window.
  public var freezeDeadline = 5.0
  /// This program, which is its own sentinel.
  public var program: FilePath = "/proc/self/exe"

  public init(dataDirectory: FilePath, target: Destination) {
    self.dataDirectory = dataDirectory
    self.target = target
  }
}
