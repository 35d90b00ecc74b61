import ArgumentParser
import StillEngine
import StillModel
import StillPages
import StillSystem
import SystemPackage

struct ProbeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "probe", abstract: "Find out how large the snapshots have to be.",
    discussion: """
      Takes a snapshot set, copies nothing, watches how it fills while the server works, and lets go. \
      Asks for a checkpoint at the beginning and after an eighth, a quarter, a half and all of the time. A signal ends it early, \
      with a report of what was seen, and so does a backup or a move of the same volumes that begins meanwhile. During \
      a backup it watches the snapshots of that one, and asks for no checkpoint.
      """)

  @OptionGroup var cluster: DataDirectoryOptions

  @Option(
    help: ArgumentHelp(
      "The repository: what the last backups took says how long the next copy takes, and what is seen is "
        + "kept there (show ID, show ID --fill).",
      valueName: "dir"))
  var repo: String?

  @Option(
    name: .customLong("cluster"),
    help: ArgumentHelp(
      "The cluster's name in the repository (default: cluster_name, or the data directory's name).",
      valueName: "name"))
  var name: String?

  @Option(help: ArgumentHelp("How long to watch (90s, 30m, 2h).", valueName: "time"))
  var duration = Seconds(1800)

  @Option(help: ArgumentHelp("From one look to the next.", valueName: "time"))
  var interval = Seconds(1)

  @Option(
    help: ArgumentHelp(
      "How long the copy takes that the snapshots shall last for (default: as long as the last "
        + "backups in --repo took, else the data's size by a trial read).", valueName: "time"))
  var copyTime: Seconds?

  @Option(
    help: ArgumentHelp(
      "How many times to count what the copy will need beyond what the probe saw.",
      valueName: "factor"))
  var safety = 2.0

  @Option(
    help: ArgumentHelp(
      "Count what the same writes would cost with chunks of these sizes only (4k,8k,32k; default: all that LVM "
        + "makes; a snapshot has 4k, if LVM is not told otherwise).", valueName: "sizes"))
  var chunk: ChunkSizes?

  @OptionGroup var page: PageOptions
  @OptionGroup var snapshots: SnapshotOptions
  @OptionGroup var output: OutputOptions

  @Flag(help: "Print the plan and stop; nothing is changed.")
  var dryRun = false

  func validate() throws {
    guard (1...86400).contains(duration.value) else {
      throw ValidationError("--duration wants 1s to 24h.")
    }
    guard (0.1...60).contains(interval.value) else {
      throw ValidationError("--interval wants 0.1 to 60 seconds.")
    }
    if let copyTime, !(1...864_000).contains(copyTime.value) {
      throw ValidationError("--copy-time wants 1s to 240h.")
    }
    guard (1...10).contains(safety) else { throw ValidationError("--safety wants 1 to 10.") }
  }

  func run() throws {
    let request = try request()
    let broker = try Identity.coordinator(of: request.dataDirectory)
    defer { broker.end() }
    // Not after half an hour.
    let file = try page.file()
    let observer = output.observer()
    defer { observer.end() }
    if dryRun {
      let plan = try planProbe(request, with: broker, observer)
      observer.end()
      try output.show(ProbePlanDocument(plan: plan))
      return
    }
    let result = try Interruption.watch(
      broker, consequence: "stopping; what was seen follows"
    ) { cancellation in
      try probe(request, with: broker, observer, cancellation)
    }
    observer.end()
    var failures: [StillError] = []
    if let failure = result.release.failure { failures.append(failure) }
    if case .failed(let message) = result.report.ending {
      failures.append(StillError(.postgres, message))
    }
    var document = ProbeDocument(result)
    do {
      let page = ProbePage(
        report: result.report, hours: result.hours, repository: request.repository?.string)
      document.reportFile = try file?.write(page.html)
    } catch let failure as StillError {
      // What was seen is told all the same.
      failures.append(failure)
    }
    try output.show(document)
    if var failure = failures.first {
      failure.further += failures.dropFirst().map(\.message)
      throw Verdict(failure)
    }
  }

  private func request() throws -> ProbeRequest {
    var request = ProbeRequest(dataDirectory: try cluster.path())
    request.repository = try repo.map { try FilePath($0).absolute() }
    request.cluster = name
    request.duration = duration.value
    request.interval = interval.value
    request.copyTime = copyTime?.value
    request.safety = safety
    request.chunkSizes = chunk?.bytes ?? request.chunkSizes
    request.snapshotSize = snapshots.snapshotSize
    request.extending = snapshots.extending
    request.freezeDeadline = snapshots.freezeDeadline
    return request
  }
}
