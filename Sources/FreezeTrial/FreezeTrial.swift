import ArgumentParser
import StillModel
import StillSystem
import StillVolumes
import SystemPackage

/// Is a snapshot set of one instant? Asks the disks: a writer syncs a counter to every volume in
/// turn while the set is frozen, and what the snapshots hold says the rest.
struct FreezeTrial: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "freeze-trial",
    abstract: "Freeze volumes while a counter is synced to each in turn, and read the counters.",
    discussion: "Exit status 0 if no set was torn, 1 otherwise; with --control always 0.")

  @Option(help: "How many times to freeze the set, or with --control to take one.")
  var windows = 3

  @Flag(help: "Take the snapshots with plain lvcreate, one after the other, for comparison.")
  var control = false

  @Option(help: "The size of each COW store.")
  var snapshotSize = "64M"

  @Argument(
    help: """
      Each volume with a folder on it to write to, all of one owner who is not root: \
      vg0/data=/mnt/data/pg
      """)
  var volumes: [TrialVolume]

  static func runProcess() -> Int32 {
    Signals.ignoreBrokenPipes()
    let arguments = CommandLine.arguments
    if arguments.dropFirst().first == "broker" {
      return Broker.serve(owner: arguments.last.flatMap { UInt32($0) })
    }
    do {
      let trial = try FreezeTrial.parse()
      return try trial.tornWindows() == 0 || trial.control ? 0 : 1
    } catch let failure as StillError {
      Terminal.talk("freeze-trial: \(failure)\n")
      return failure.exitCode
    } catch {
      Terminal.talk(FreezeTrial.fullMessage(for: error) + "\n")
      return FreezeTrial.exitCode(for: error).rawValue
    }
  }

  private func tornWindows() throws -> Int {
    guard let size = ByteCount.parse(snapshotSize) else {
      throw ValidationError("--snapshot-size wants a size.")
    }
    let writer = try CounterWriter(volumes.map(\.folder))
    defer { writer.removeFiles() }
    Clock.sleep(milliseconds: 300)
    var torn = 0
    var longest = 0.0
    try withSets(size, writer) { takeSet in
      for index in 1...max(1, windows) {
        let outcome = try takeSet()
        let isGood = isOneInstant(outcome.numbers)
        torn += isGood ? 0 : 1
        longest = max(longest, outcome.stall)
        let numbers = outcome.numbers.map(String.init).joined(separator: " ")
        let verdict = isGood ? "one instant" : "TORN"
        Terminal.print("set \(index): counters \(numbers)  \(outcome.detail)  \(verdict)\n")
      }
    }
    try writer.end()
    let what = control ? "plain lvcreate" : "the freeze windows"
    Terminal.print("longest stall of the writer in \(what): \(tenths(longest)) ms\n")
    Terminal.print("torn: \(torn) of \(max(1, windows))\n")
    return torn
  }

  private struct Outcome {
    var numbers: [UInt64]
    /// How long one write waited while the set was taken, in milliseconds.
    var stall: Double
    var detail: String
  }

  /// Hands `body` what takes one set after the other: as a backup does it, or with plain lvcreate.
  private func withSets(
    _ size: UInt64, _ writer: CounterWriter, _ body: (() throws -> Outcome) throws -> Void
  ) throws {
    if control {
      try body { try plainSnapshots(size, writer) }
      return
    }
    let folders = try volumes.map { try OpenFolder.open($0.folder) }
    let broker = try BrokerClient.start(
      program: "/proc/self/exe", owner: try folders.first?.metadata().owner)
    defer { broker.end() }
    _ = writer.takeLongestStall()
    _ = try broker.prepare(
      RunID(at: Clock.now()), volumes.map { SnapshotRequest(origin: $0.name, size: size) },
      folders: folders)
    Terminal.print(
      "prepared: the writer stalled \(tenths(writer.takeLongestStall())) ms in LVM's lvcreate\n")
    try body {
      let outcome = try frozenSet(broker, writer)
      try broker.thaw()
      return outcome
    }
    _ = try broker.release()
  }

  /// One freeze of the set that `broker` holds.
  private func frozenSet(_ broker: BrokerClient, _ writer: CounterWriter) throws -> Outcome {
    Clock.sleep(milliseconds: 100)
    _ = writer.takeLongestStall()
    let report = try broker.freeze(deadline: 5)
    Clock.sleep(milliseconds: 20)
    let stall = writer.takeLongestStall()
    let roots = try broker.open()
    defer { roots.forEach { $0.close() } }
    let numbers = try zip(roots, volumes).map { root, volume in
      try CounterWriter.number(in: root.folder(try volume.innerPath()))
    }
    return Outcome(
      numbers: numbers, stall: stall,
      detail: "window \(tenths(report.window)) ms, skew \(tenths(report.skew)) ms, writer stalled "
        + "\(tenths(stall)) ms")
  }

  /// As everybody else does it.
  private func plainSnapshots(_ size: UInt64, _ writer: CounterWriter) throws -> Outcome {
    let names = volumes.map {
      VolumeName(group: $0.name.group, volume: $0.name.volume + "_freeze_trial")
    }
    _ = writer.takeLongestStall()
    for (volume, name) in zip(volumes, names) {
      try lvm([
        "lvcreate", "--quiet", "--quiet", "--snapshot", "--yes", "--size", "\(size)b", "--name",
        name.volume, volume.name.description,
      ])
    }
    let stall = writer.takeLongestStall()
    let numbers = try zip(volumes, names).map { volume, name in
      let kind = try volume.mount().kind
      let root = try OpenFolder.mountDetached(
        kind: kind, device: FilePath("/dev/mapper/\(name.deviceName)"), ignoresUUID: kind == "xfs")
      return try CounterWriter.number(in: root.folder(try volume.innerPath()))
    }
    for name in names { try lvm(["lvremove", "--quiet", "--quiet", "--yes", name.description]) }
    return Outcome(
      numbers: numbers, stall: stall, detail: "plain lvcreate, writer stalled \(tenths(stall)) ms")
  }

  private func lvm(_ words: [String]) throws {
    let environment = ["LVM_SYSTEM_DIR", "DM_DISABLE_UDEV"].reduce(into: ["LC_ALL": "C"]) {
      $0[$1] = Environment.value($1)
    }
    let status = try Child.start("/sbin/lvm", words, environment: environment).wait()
    guard status == 0 else {
      throw StillError(.volumes, "lvm \(words.joined(separator: " ")) gave status \(status)")
    }
  }

  private func tenths(_ number: Double) -> String {
    let scaled = Int((number * 10).rounded())
    return "\(scaled / 10).\(scaled % 10)"
  }
}

/// A logical volume, and a folder on its file system.
struct TrialVolume: ExpressibleByArgument {
  var name: VolumeName
  var folder: FilePath

  init?(argument: String) {
    let parts = argument.split(separator: "=", maxSplits: 1)
    guard parts.count == 2, let name = VolumeName(parts[0]) else { return nil }
    self.name = name
    folder = FilePath(String(parts[1]))
  }

  func mount() throws -> MountTable.Entry {
    let path = try folder.resolved()
    let device = try OpenFolder.open(path).metadata().device
    guard let mount = try MountTable.current().entry(containing: path, device: device) else {
      throw StillError(.precondition, "\(folder) is on no mount that can be found")
    }
    return mount
  }

  /// The folder counted from the root of its file system.
  func innerPath() throws -> FilePath {
    let mount = try mount()
    let below = try folder.resolved().relative(to: mount.mountPoint) ?? FilePath()
    let inner = mount.root.appending(below.components)
    return FilePath(root: nil, inner.components)
  }
}
