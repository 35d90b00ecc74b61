import ArgumentParser
import StillEngine
import StillModel
import StillPostgres
import StillSystem
import StillTransfer
import SystemPackage

struct MigrateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "migrate",
    abstract: "Move a running cluster to other disks or another host, with seconds of downtime.",
    discussion: "discover, plan, pass, pass, stop, final pass, start")

  @OptionGroup var cluster: DataDirectoryOptions

  @Option(
    help: ArgumentHelp(
      "The new data directory, missing or empty: DIR, [USER@]HOST:DIR by ssh, or "
        + "rsync://HOST[:PORT]/MODULE/DIR of an rsync daemon.",
      valueName: "target"))
  var to: String?

  @Option(
    help: ArgumentHelp(
      "Run on the target, and have the cluster moved here from [USER@]HOST:DIR: pgstill over there "
        + "does it, through one ssh connection from here.", valueName: "source"))
  var from: String?

  @Option(
    help: ArgumentHelp(
      "With --from: pgstill over there. Words are parted by blanks.", valueName: "command"))
  var sourceCommand = "pgstill"

  @Option(
    help: ArgumentHelp(
      "With --from: sshd of this host, which the source comes back through.", valueName: "path"))
  var sshd = "/usr/sbin/sshd"

  /// What `--from` says to the source.
  @Flag(help: .hidden) var invited = false

  @Option(
    help: ArgumentHelp(
      "Move the tablespace that is at OLD to NEW; may be given several times.",
      valueName: "old=new"))
  var tablespaceMapping: [TablespaceMapping] = []

  @Option(
    help: ArgumentHelp("Put WAL here, with a link from the data directory.", valueName: "dir"))
  var walDir: String?

  @Option(
    help: ArgumentHelp("How often everything is gone through while the server runs, at most."))
  var passes = 5

  @Option(
    help: ArgumentHelp(
      "How long the server may be down until everything is copied, in seconds.",
      valueName: "seconds"))
  var maxDowntime: Double?

  @Option(
    help: ArgumentHelp(
      "What happens when that is over: rollback (the old server is started again) or continue.",
      valueName: "policy"))
  var onOverrun = OverrunPolicy.rollback

  @Option(
    help: ArgumentHelp(
      "What is compared while the server is down: changed (the files that can have changed since "
        + "the last pass) or full (every byte on both sides). By default changed, where the file "
        + "systems prove it.", valueName: "kind"))
  var finalPass: FinalPass?

  @Option(
    help: ArgumentHelp(
      "What starts the new server, run by /bin/sh -c as the owner of the cluster. By default what "
        + "starts the old one, with the new folder.", valueName: "command"))
  var targetStartCommand: String?

  @Flag(help: "Leave the new server to be started by somebody else.")
  var noStart = false

  @OptionGroup var ssh: SSHOptions

  @Option(
    help: ArgumentHelp(
      "Where the new server is found on another host, as libpq wants it: \"host=db2 port=5433\".",
      valueName: "connection"))
  var targetConnection: String?

  @Option(
    help: ArgumentHelp(
      "For an rsync daemon: where its module lies, as its own host calls it.", valueName: "dir"))
  var moduleDir: String?

  @Option(
    help: ArgumentHelp(
      "Where PostgreSQL's programs are on another host (default: where they are here).",
      valueName: "dir"))
  var targetPrograms: String?

  @Flag(
    help:
      "Move to a host that sorts text otherwise, and rebuild indexes after: until then the new server gives wrong answers."
  )
  var reindexAfter = false

  @Flag(help: "A rehearsal: make the passes, and let the old server run. Nothing moves.")
  var keepSourceRunning = false

  @Option(
    help: ArgumentHelp(
      "Seconds that the old server may take to stop. It is never killed.", valueName: "seconds"))
  var stopTimeout = 60.0

  @Option(
    help: ArgumentHelp(
      "What stops the old server, in place of its systemd unit, pg_ctlcluster or pg_ctl. Wants "
        + "--start-command too.", valueName: "command"))
  var stopCommand: String?

  @Option(
    help: ArgumentHelp(
      "What starts the old server again, if the migration does not succeed.", valueName: "command"))
  var startCommand: String?

  @Option(
    help: ArgumentHelp("Send no more than so much in a second (50M).", valueName: "size"))
  var rateLimit: Size?

  @Flag(
    help:
      "Read the live files also where all volumes could be frozen together for each pass.")
  var noSnapshots = false

  @OptionGroup var snapshots: SnapshotOptions

  @Flag(
    help: ArgumentHelp(
      "When the new server is at work, compare every file that it has not written since with the old "
        + "one's, byte by byte."))
  var checkAfter = false

  @Flag(help: "Print the plan and stop; nothing is changed.")
  var dryRun = false

  @Flag(
    help:
      "Bring the old server of a migration back, whose data directory --pgdata names, or --from.")
  var undo = false

  @Flag(help: "With --undo: no server runs on the new place, and none will.")
  var targetIsDown = false

  @Flag(help: "With --undo: give up what the new server has written since it was started.")
  var discardNew = false

  @OptionGroup var output: OutputOptions

  func validate() throws {
    if from != nil { try validatePull() }
    if undo {
      guard to == nil, !dryRun else {
        throw ValidationError("--undo goes with --pgdata or --from alone.")
      }
      return
    }
    guard !targetIsDown, !discardNew else {
      throw ValidationError("--target-is-down and --discard-new go with --undo.")
    }
    guard to != nil else { throw ValidationError("Missing the target: use --to DIR.") }
    guard (1...100).contains(passes) else { throw ValidationError("--passes wants 1 to 100.") }
    if let maxDowntime, !(0.1...86400).contains(maxDowntime) {
      throw ValidationError("--max-downtime wants 0.1 to 86400 seconds.")
    }
    guard (1...86400).contains(stopTimeout) else {
      throw ValidationError("--stop-timeout wants 1 to 86400 seconds.")
    }
    guard (stopCommand == nil) == (startCommand == nil) else {
      throw ValidationError(
        "--stop-command and --start-command go together, and are the old server's; "
          + "--target-start-command starts the new one.")
    }
    guard !checkAfter || !keepSourceRunning else {
      throw ValidationError("--check-after wants a move, which --keep-source-running is not.")
    }
    guard targetStartCommand == nil || !noStart else {
      throw ValidationError("--target-start-command and --no-start exclude each other.")
    }
    if let rateLimit, rateLimit.bytes == 0 { throw ValidationError("--rate-limit wants a size.") }
  }

  func run() throws {
    if let from {
      let status = try pulled(from).run()
      if status != 0 { throw Verdict(code: status) }
      return
    }
    let dataDirectory = try cluster.path()
    var lines = InputLines()
    let invitation = invited ? try Invitation.receive(&lines) : nil
    // Programs that are started here may stay, and the target waits until nobody talks any more.
    if invited { try Terminal.keepTalk() }
    /// Only as who this process stays: it has threads from then on.
    func enter() throws -> InvitedGuest? { try invitation.map { try InvitedGuest($0, lines) } }
    if undo { return try bringBack(dataDirectory, enter) }
    var request = try request(dataDirectory)
    let broker = try Identity.coordinator(of: dataDirectory)
    defer { broker.end() }
    let guest = try enter()
    defer { guest?.leave() }
    if let guest {
      request.remoteShell = guest.shell
      request.pulledAs = guest.invitation.guest
    }
    let observer = output.observer()
    defer { observer.end() }
    if dryRun {
      let plan = try InvitedGuest.steadily(guest) {
        try planMigration(request, with: broker, observer)
      }
      observer.end()
      try output.show(MigrationPlanDocument(plan: plan))
      return
    }
    let report: MigrationReport
    do {
      report = try Interruption.watch(broker) { cancellation in
        try migrate(request, with: broker, observer, cancellation)
      }
    } catch {
      guest?.note(error)
      throw error
    }
    // It is done: what becomes of the target now changes nothing.
    guest?.leave()
    observer.end()
    try output.show(MigrationDocument(report: report))
    if report.check?.isGood == false { throw Verdict(status: .incomplete) }
  }

  /// Back to the old server.
  ///
  /// - Parameter enter: takes the way to the target, where that asks for it.
  private func bringBack(_ dataDirectory: FilePath, _ enter: () throws -> InvitedGuest?) throws {
    try Identity.become(ownerOf: dataDirectory, .dataDirectory)
    let guest = try enter()
    defer { guest?.leave() }
    let observer = output.observer()
    defer { observer.end() }
    var request = UndoRequest(dataDirectory: dataDirectory)
    request.targetIsDown = targetIsDown
    request.discardsNew = discardNew
    request.caller = guest.map { ($0.invitation.host, $0.shell) }
    let result = try InvitedGuest.steadily(guest) { try undoMigration(request, observer) }
    guest?.leave()
    observer.end()
    try output.show(UndoDocument(result: result))
    if !result.isStarted { throw Verdict(status: .incomplete) }
  }

  private func request(_ dataDirectory: FilePath) throws -> MigrationRequest {
    let target = try Destination(option: "--to", to ?? "")
    var request = MigrationRequest(dataDirectory: dataDirectory, target: target)
    request.tablespaceMapping = try tablespaceMapping.map {
      (FilePath($0.old), try FilePath($0.new).absolute())
    }
    request.walFolder = try walDir.map { try FilePath($0).absolute() }
    request.finalPass = finalPass
    request.mostPasses = passes
    request.mostDowntime = maxDowntime
    request.onOverrun = onOverrun
    request.startsServer = !noStart
    request.startCommand = targetStartCommand
    request.remoteShell = ssh.words
    request.connection = targetConnection
    request.moduleFolder = moduleDir.map { FilePath($0) }
    request.programs = targetPrograms.map { FilePath($0) }
    request.acceptsRebuild = reindexAfter
    request.isRehearsal = keepSourceRunning
    request.checksAfter = checkAfter
    request.stopTimeout = stopTimeout
    request.rateLimit = rateLimit?.bytes
    request.usesSnapshots = !noSnapshots
    request.snapshotSize = snapshots.snapshotSize
    request.extending = snapshots.extending
    request.freezeDeadline = snapshots.freezeDeadline
    if let stopCommand, let startCommand {
      request.serverCommands = ServerCommands(stop: stopCommand, start: startCommand)
    }
    return request
  }
}

extension FinalPass: ExpressibleByArgument {}
extension OverrunPolicy: ExpressibleByArgument {}
