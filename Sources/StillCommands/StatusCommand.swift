import ArgumentParser
import StillEngine
import StillModel
import StillSystem
import SystemPackage

struct StatusCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract: "Show the snapshots that runs hold, or have left, and how old the last backup is.",
    discussion: """
      Nothing is changed; release removes what runs that died have left.

      With --max-age it answers as a monitoring plugin: one line with performance data, and an exit \
      status of its own: 0 OK, 1 WARNING (something is wrong with a backup, or a run died), 2 CRITICAL (the \
      last backup is too old, there is none, or a volume is suspended), 3 UNKNOWN.
      """)

  @Option(help: ArgumentHelp("The repository: the folder of backups.", valueName: "dir"))
  var repo: String?

  @Option(
    help: ArgumentHelp("One cluster of the repository (default: all of them).", valueName: "name"))
  var cluster: String?

  @Option(
    help: ArgumentHelp(
      "How old the last backup of each cluster may be (26h, 90m); answers as a monitoring plugin.",
      valueName: "time"))
  var maxAge: Seconds?

  @Flag(help: "Look again every second, until Ctrl-C.")
  var watch = false

  @OptionGroup var output: OutputOptions

  func validate() throws {
    guard repo != nil || (maxAge == nil && cluster == nil) else {
      throw ValidationError("--max-age and --cluster want a repository: --repo DIR.")
    }
    if let maxAge, !(maxAge.value > 0 && maxAge.value < 1e9) {
      throw ValidationError("--max-age wants more than none.")
    }
    guard !watch || (maxAge == nil && !output.json) else {
      throw ValidationError("--watch goes with neither --max-age nor --json.")
    }
  }

  func run() throws {
    guard let maxAge else {
      let broker = try Identity.broker()
      defer { broker.end() }
      try becomeReader()
      repeat {
        if watch { Terminal.clear() }
        try output.show(StatusDocument(broker.held(), repo == nil ? nil : clusters()))
        if watch { Clock.sleep(milliseconds: 1000) }
      } while watch
      return
    }
    let answer = self.answer(to: maxAge)
    try output.show(answer)
    if answer.state != .ok { throw Verdict(code: answer.state.rawValue) }
  }

  /// Whatever goes wrong is an answer too.
  private func answer(to maxAge: Seconds) -> MonitoringDocument {
    do {
      // Nobody gives a monitor the right to more.
      let broker = Account.effectiveUser == 0 ? try Identity.broker() : nil
      defer { broker?.end() }
      let held = try broker?.held() ?? []
      try becomeReader()
      return MonitoringDocument(try clusters(), held, oldest: maxAge.value)
    } catch {
      return MonitoringDocument(unknown: (error as? StillError)?.message ?? "\(error)")
    }
  }

  private func becomeReader() throws {
    guard let repo else { return }
    try Identity.become(ownerOf: FilePath(repo).absolute(), .repository)
  }

  private func clusters() throws -> [ClusterStatus] {
    let repository = try Repository.open(FilePath(repo ?? "").absolute())
    if let cluster { return [try repository.cluster(cluster).status()] }
    // Of what was probed, and never backed up, nobody waits for a backup.
    let known = try repository.clusterNames().map { try repository.cluster($0) }
    return try known.filter { !$0.isOnlyProbed }.map { try $0.status() }
  }
}
