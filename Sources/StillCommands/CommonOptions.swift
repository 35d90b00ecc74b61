import ArgumentParser
import StillEngine
import StillModel
import StillSystem
import SystemPackage

/// What every verb understands.
struct OutputOptions: ParsableArguments {
  @Flag(help: "Print exactly one JSON document on stdout, on failure too.")
  var json = false

  @Option(help: "How to show progress on stderr: auto, bar, plain or none.")
  var progress = ProgressStyle.auto

  @Flag(name: [.short, .long], help: "Say what each phase took.")
  var verbose = false

  @Flag(name: [.short, .long], help: "Say nothing but failures.")
  var quiet = false

  func observer() -> ProgressReporter {
    let style: ProgressStyle =
      switch progress {
      case .auto where quiet: .none
      case .auto: Terminal.showsTalk ? .bar : .plain
      default: progress
      }
    return ProgressReporter(style: style, verbose: verbose, quiet: quiet)
  }

  /// The one place where a result becomes output: the same value as text or as JSON.
  func show(_ result: some Displayable) throws {
    Terminal.print(json ? try result.jsonDocument() + "\n" : result.text)
  }
}

struct RepositoryOptions: ParsableArguments {
  @Option(help: ArgumentHelp("The repository: the folder of backups.", valueName: "dir"))
  var repo: String

  @Option(
    help: ArgumentHelp(
      "The cluster's name in the repository, if it holds several.", valueName: "name"))
  var cluster: String?

  /// The repository's absolute path.
  func path() throws -> FilePath { try FilePath(repo).absolute() }

  /// The folder of the cluster that is meant.
  func clusterFolder() throws -> ClusterFolder {
    let repository = try Repository.open(path())
    return try cluster.map { try repository.cluster($0) } ?? repository.onlyCluster()
  }
}

struct JobsOptions: ParsableArguments {
  @Option(
    name: [.short, .long], help: "Threads that do the work on content (default: one for each core)."
  )
  var jobs: Int?

  var count: Int { jobs ?? Processors.count }

  func validate() throws {
    if let jobs, !(1...256).contains(jobs) { throw ValidationError("--jobs wants 1 to 256.") }
  }
}

struct DataDirectoryOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The cluster's data directory (default: the environment's PGDATA).", valueName: "dir"))
  var pgdata: String?

  /// The data directory's absolute path.
  func path() throws -> FilePath {
    guard let text = pgdata ?? Environment.value("PGDATA"), !text.isEmpty else {
      throw ValidationError("Missing the data directory: use --pgdata DIR, or set PGDATA.")
    }
    return try FilePath(text).absolute()
  }
}

extension ProgressStyle: ExpressibleByArgument {}
