import ArgumentParser
import StillArchive
import StillEngine
import StillModel
import StillPostgres
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
      "The cluster's name in the repository, where no other cluster may have backups (default: "
        + "cluster_name, or the data directory's name).",
      valueName: "name"))
  var name: String?

  @Option(
    help: ArgumentHelp(
      "How the backup is made consistent: snapshot (every volume frozen at one instant), online "
        + "(the server's backup mode), shutdown (stopped for seconds), or auto: snapshot where it "
        + "can be had, else online.", valueName: "mode"))
  var consistency = ConsistencyChoice.auto

  @Option(
    help: ArgumentHelp(
      "What the backup is on the disk: tar (archives), or mirror (the files themselves, in folders "
        + "that a server starts on a copy of; what has not changed is shared with the mirror before, "
        + "by hard links, and by the page where the repository is on XFS or btrfs).",
      valueName: "kind"))
  var format = BackupFormat.tar

  @Option(
    help: ArgumentHelp(
      "zstd[:1-19], gzip[:1-12], lz4 or none (default: \(Compression.standard)). Not for a mirror.",
      valueName: "compress"))
  var compress: Compression?

  @Option(
    help: ArgumentHelp(
      "The checksum of every file in the manifest: sha256, crc32c (faster; finds accidents, not "
        + "intent) or none.", valueName: "kind"))
  var manifestChecksums = ManifestChecksums.sha256

  @Flag(
    help: ArgumentHelp(
      "Fail where a page does not have its checksum. Without it such pages are copied as they are, "
        + "named, and the exit status is 3."))
  var strictPages = false

  @OptionGroup var snapshots: SnapshotOptions

  @Flag(
    help: ArgumentHelp(
      "For --consistency online: read the live files, also where volumes could be frozen."))
  var noSnapshots = false

  @OptionGroup var jobs: JobsOptions

  @Option(
    help: ArgumentHelp("Read no more than so much in a second (50M).", valueName: "size"))
  var rateLimit: Size?

  @Flag(
    help:
      "Allow a repository on a volume that is being snapshotted; writing there fills the snapshot.")
  var allowRepoOnOrigin = false

  @Option(
    help: ArgumentHelp(
      "For --consistency shutdown: seconds that the server may take to stop. It is never killed.",
      valueName: "seconds"))
  var stopTimeout = 60.0

  @Option(
    help: ArgumentHelp(
      "For --consistency shutdown: what stops the server, in place of its systemd unit, "
        + "pg_ctlcluster or pg_ctl. Run by /bin/sh -c as the owner of the cluster; has to come back "
        + "when the server is down, and to leave nothing behind. Wants --start-command too.",
      valueName: "command"))
  var stopCommand: String?

  @Option(
    help: ArgumentHelp(
      "What starts the server again, run in the same way. It has to send the server's output "
        + "somewhere.", valueName: "command"))
  var startCommand: String?

  @Flag(
    help: ArgumentHelp(
      "For --consistency shutdown: where the volumes cannot be frozen just now, let the server be "
        + "down until everything is copied. Where a file system is of a kind that can never be "
        + "frozen, that is so without being asked for."))
  var copyWhileDown = false

  func validate() throws {
    guard (stopCommand == nil) == (startCommand == nil) else {
      throw ValidationError("--stop-command and --start-command go together.")
    }
    guard format == .tar || compress == nil else {
      throw ValidationError(
        "--compress goes with --format tar: the files of a mirror are as they are.")
    }
    guard !noSnapshots || consistency == .online else {
      throw ValidationError("--no-snapshots goes with --consistency online.")
    }
    guard (1...86400).contains(stopTimeout) else {
      throw ValidationError("--stop-timeout wants 1 to 86400 seconds.")
    }
    if let rateLimit, rateLimit.bytes == 0 { throw ValidationError("--rate-limit wants a size.") }
  }

  func request() throws -> BackupRequest {
    var request = BackupRequest(
      dataDirectory: try cluster.path(), repository: try FilePath(repo).absolute(),
      workers: jobs.count)
    request.cluster = name
    request.consistency = consistency.mode
    request.format = format
    if let compress { request.compression = compress }
    request.manifestChecksum = manifestChecksums.algorithm
    request.wantsGoodPages = strictPages
    request.snapshotSize = snapshots.snapshotSize
    request.extending = snapshots.extending
    request.rateLimit = rateLimit?.bytes
    request.freezeDeadline = snapshots.freezeDeadline
    request.allowsRepositoryOnOrigin = allowRepoOnOrigin
    request.usesSnapshots = !noSnapshots
    request.stopTimeout = stopTimeout
    request.copiesWhileDown = copyWhileDown
    if let stopCommand, let startCommand {
      request.serverCommands = ServerCommands(stop: stopCommand, start: startCommand)
    }
    return request
  }
}

/// `--manifest-checksums`
enum ManifestChecksums: String, CaseIterable, ExpressibleByArgument {
  case sha256, crc32c, none

  var algorithm: ChecksumAlgorithm {
    switch self {
    case .sha256: .sha256
    case .crc32c: .crc32c
    case .none: .none
    }
  }
}

/// `--consistency`
enum ConsistencyChoice: String, CaseIterable, ExpressibleByArgument {
  case auto, snapshot, online, shutdown

  /// Nil for the best that can be had.
  var mode: Consistency? { Consistency(rawValue: rawValue) }
}

extension BackupFormat: ExpressibleByArgument {}

extension Compression: ExpressibleByArgument {
  public init?(argument: String) { self.init(argument) }
  public var defaultValueDescription: String { description }
}

extension SnapshotSize: ExpressibleByArgument {
  public init?(argument: String) { self.init(argument) }
  public var defaultValueDescription: String { description }
}

/// A size on the command line: `512M`.
struct Size: ExpressibleByArgument {
  var bytes: UInt64

  init(bytes: UInt64) { self.bytes = bytes }

  init?(argument: String) {
    guard let bytes = ByteCount.parse(argument) else { return nil }
    self.bytes = bytes
  }

  var defaultValueDescription: String { "\(bytes)" }
}

/// A share on the command line: `70%`.
struct Share: ExpressibleByArgument {
  var percent: Int

  init(percent: Int) { self.percent = percent }

  init?(argument: String) {
    guard let percent = Int(argument.hasSuffix("%") ? argument.dropLast() : argument[...]) else {
      return nil
    }
    self.percent = percent
  }

  var defaultValueDescription: String { "\(percent)%" }
}
