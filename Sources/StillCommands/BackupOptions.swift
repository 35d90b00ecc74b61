import ArgumentParser
import StillArchive
import StillEngine
import StillModel
import StillSystem
import SystemPackage

/// What `backup` and `check` want to know.
struct BackupOptions: ParsableArguments {
  @OptionGroup var cluster: DataDirectoryOptions

  @Option(help: ArgumentHelp("The repository: the folder of backups.", valueName: "dir"))
  var repo: String

  @Option(
    name: .customLong("cluster"),
    help: ArgumentHelp(
      "The cluster's name in the repository (default: cluster_name, or the data directory's name).",
      valueName: "name"))
  var name: String?

  @Option(
    help: ArgumentHelp(
      "How the backup is made consistent: snapshot (every volume frozen at one instant), online "
        + "(the server's backup mode), shutdown (stopped for seconds), or auto: snapshot where it "
        + "can be had, else online.", valueName: "mode"))
  var consistency = ConsistencyChoice.auto

  @Option(help: "zstd[:1-19], gzip[:1-12] or none.")
  var compress = Compression.standard

  @Option(
    help: ArgumentHelp(
      "The size of each snapshot's COW store: a size (10G) or a share of its origin (15%).",
      valueName: "size"))
  var snapshotSize = SnapshotSize.standard

  @Option(name: [.short, .long], help: "Threads that compress (default: one for each core).")
  var jobs: Int?

  @Option(
    help: ArgumentHelp(
      "Seconds after which every volume is let go, whatever happens.", valueName: "seconds"))
  var freezeDeadline = 5.0

  @Flag(
    help:
      "Allow a repository on a volume that is being snapshotted; writing there fills the snapshot.")
  var allowRepoOnOrigin = false

  func validate() throws {
    if let jobs, !(1...256).contains(jobs) { throw ValidationError("--jobs wants 1 to 256.") }
    guard (0.1...60).contains(freezeDeadline) else {
      throw ValidationError("--freeze-deadline wants 0.1 to 60 seconds.")
    }
  }

  func request() throws -> BackupRequest {
    var request = BackupRequest(
      dataDirectory: try cluster.path(), repository: try FilePath(repo).absolute(),
      workers: jobs ?? Processors.count)
    request.cluster = name
    request.consistency = consistency.mode
    request.compression = compress
    request.snapshotSize = snapshotSize
    request.freezeDeadline = freezeDeadline
    request.allowsRepositoryOnOrigin = allowRepoOnOrigin
    return request
  }
}

/// `--consistency`
enum ConsistencyChoice: String, CaseIterable, ExpressibleByArgument {
  case auto, snapshot, online, shutdown

  /// Nil for the best that can be had.
  var mode: Consistency? { Consistency(rawValue: rawValue) }
}

extension Compression: ExpressibleByArgument {
  public init?(argument: String) { self.init(argument) }
  public var defaultValueDescription: String { description }
}

extension SnapshotSize: ExpressibleByArgument {
  public init?(argument: String) { self.init(argument) }
  public var defaultValueDescription: String {
    switch self {
    case .bytes(let bytes): ByteCount.text(bytes)
    case .percentOfOrigin(let percent): "\(percent)%"
    }
  }
}
