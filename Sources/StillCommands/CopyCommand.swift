import ArgumentParser
import StillEngine
import StillModel

struct CopyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "copy", abstract: "Copy a backup to another repository, here or on another host.",
    discussion: """
      locate, plan, transfer, publish

      What lies there already in the newest backup of the same format is shared with it, by hard links. \
      One that broke off is taken up again by the same command; one that is there already is compared.
      """)

  @Argument(help: "The backup's id, or latest.")
  var id: String

  @OptionGroup var repository: RepositoryOptions

  @Option(
    help: ArgumentHelp(
      "The other repository: DIR, [USER@]HOST:DIR by ssh, or rsync://HOST[:PORT]/MODULE[/DIR] of an "
        + "rsync daemon.", valueName: "target"))
  var to: String

  @OptionGroup var ssh: SSHOptions

  @Option(
    help: ArgumentHelp("Send no more than so much in a second (50M).", valueName: "size"))
  var rateLimit: Size?

  @Flag(help: "Print the plan and stop; nothing is changed.")
  var dryRun = false

  @OptionGroup var output: OutputOptions

  func validate() throws {
    if let rateLimit, rateLimit.bytes == 0 { throw ValidationError("--rate-limit wants a size.") }
  }

  func run() throws {
    let destination = try Destination(option: "--to", to)
    let path = try repository.path()
    try Identity.become(ownerOf: path, .repository)
    let folder = try repository.clusterFolder()
    let backup = try folder.backup(id)
    var request = ElsewhereRequest(
      repository: path, cluster: folder.name, destination: destination)
    request.remoteShell = ssh.words
    request.rateLimit = rateLimit?.bytes
    if dryRun {
      try output.show(ElsewherePlanDocument(plan: planCopyElsewhere(request, of: backup)))
      return
    }
    let observer = output.observer()
    defer { observer.end() }
    let result = try Interruption.watch { cancellation in
      try copyElsewhere(request, of: backup, observer, cancellation)
    }
    observer.end()
    try output.show(ElsewhereDocument(result: result))
    if !result.missing.isEmpty { throw Verdict(status: .incomplete) }
  }
}
