import CFreeze
import StillModel
import StillSystem
import SystemPackage

/// The one process that is root: single-threaded and synchronous, it answers requests until the
/// coordinator's end of the socket closes, for whatever reason, and then gives everything back.
public final class Broker {
  /// As many descriptors as one message on the socket carries (CStill, MAX_DESCRIPTORS).
  public static let mostVolumes = 16
  /// In seconds.
  private static let longestSilence = 5.0
  private static let longestReading = 1.0
  private static let longestWayMaking = 60.0

  private let channel: Channel
  private let lvm: LVM
  /// Whose folders make a volume one that may be frozen.
  private let owner: UInt32?
  private var run: RunID?
  private var origins: [VolumeName] = []
  private var lock: RunLock?
  private var snapshots: [any FreezableSnapshot] = []
  private var isFrozen = false
  /// Whether it lets go of its volumes when somebody wants to copy them.
  private var givesWay = false
  /// Whether runs that died have left what could not be removed yet.
  private var hasLeftovers = false
  /// At how full the snapshots are.
  private var lastLook = Stopwatch()
  /// Why the snapshots were given up without an order.
  private var givenUp: StillError?
  private let units: UnitKeeper

  /// Serves the coordinator that started this process, until it goes away.
  ///
  /// - Parameter owner: whom the coordinator serves, where root started it; where sudo did, sudo's
  ///   own word counts.
  /// - Returns: the exit status of the process.
  public static func serve(owner: UInt32?) -> Int32 {
    // A signal must not end it between two steps; the end of the coordinator does.
    Signals.ignoreAll()
    // Nor may it be slow, or ended, because whoever started it was to be.
    freeze_shed_limits()
    guard let channel = coordinator() else {
      Terminal.talk("pgstill: the broker is started by pgstill itself\n")
      return ExitStatus.usage.rawValue
    }
    do {
      guard Account.effectiveUser == 0 else {
        throw StillError(
          .precondition, "the broker needs root",
          hint: "Start pgstill as root, or allow its broker in sudoers.")
      }
      let broker = Broker(channel: channel, lvm: try LVM(), owner: sudoCaller ?? owner)
      TestHooks.reached("started")
      broker.answerAll()
      return 0
    } catch {
      // The first question gets this as its answer.
      let failure = error as? StillError ?? StillError(.failed, "\(error)")
      _ = try? channel.receive()
      try? channel.send(message: BrokerReply.failed(failure))
      return failure.status.rawValue
    }
  }

  /// The coordinator's end: a socket passed on as descriptor 3, or, where sudo is in between and
  /// passes none on, one whose name comes on stdin. Then only the user who called sudo is served.
  private static func coordinator() -> Channel? {
    if let channel = Channel.inherited(3) { return channel }
    guard let caller = sudoCaller,
      let line = try? OpenFile.standardInput.readAll(limit: 4096),
      let name = String(decoding: line, as: UTF8.self).split(separator: "\n").first
    else { return nil }
    return try? NamedSocket.connect(String(name), to: caller)
  }

  private static var sudoCaller: UInt32? { Environment.value("SUDO_UID").flatMap { UInt32($0) } }

  private init(channel: Channel, lvm: LVM, owner: UInt32?) {
    self.channel = channel
    self.lvm = lvm
    self.owner = owner
    units = UnitKeeper(owner: owner)
  }

  private func answerAll() {
    while let (line, descriptors) = try? nextQuestion() {
      let folders = descriptors.map {
        OpenFolder(descriptor: $0, path: "folder of the coordinator")
      }
      defer { folders.forEach { $0.close() } }
      do {
        var enclosed = Enclosures()
        let reply = try answer(BrokerRequest(line: line), folders, &enclosed)
        try withExtendedLifetime(enclosed) {
          try channel.send(message: reply, descriptors: enclosed.descriptors)
        }
      } catch {
        let failure = error as? StillError ?? StillError(.failed, "the broker failed: \(error)")
        guard (try? channel.send(message: BrokerReply.failed(failure))) != nil else { break }
      }
    }
    channel.close()
    units.end()
    giveBack()
  }

  /// The next question. A coordinator that copies asks for the fill every second; while it does not,
  /// stopped for one, nobody but the broker looks at the pools.
  private func nextQuestion() throws -> (line: [UInt8], descriptors: [Int32])? {
    while isFrozen {
      let hasNews = channel.hasNews(within: 1000)
      if lastLook.seconds >= Broker.longestSilence {
        lastLook = Stopwatch()
        let fills = snapshots.compactMap { try? $0.fill() }
        if let full = fills.first(where: \.isPoolNearlyFull) { giveUp(full) }
      }
      if hasNews { break }
    }
    return try channel.receive()
  }

  private func giveUp(_ fill: SnapshotFill) {
    givenUp = StillError(
      .overflow,
      "the thin pool of \(fill.origin) is \(Figures.percent(fill.share)) full (metadata "
        + "\(Figures.percent(fill.metadata ?? 0))), and pgstill did not ask for the fill any more: "
        + "the snapshots were given up before the server runs out of room",
      hint: "Nothing was published. Do not stop pgstill while it copies (Ctrl-Z); extend the pool "
        + "(lvextend), or remove what else is in it.")
    isFrozen = false
    for snapshot in snapshots {
      do { try snapshot.giveUp() } catch { SystemLog.warn("\(error)") }
    }
    done(RunStep.givenUp, "\(fill.snapshot)")
  }

  /// - Throws: `.volumes` where nothing is frozen; why not, where the broker has given it up.
  private func requireFrozen() throws {
    if let givenUp { throw givenUp }
    guard isFrozen else { throw StillError(.volumes, "nothing is frozen yet") }
  }

  /// The coordinator has gone, and with it whoever reads what the broker says.
  private func giveBack() {
    do {
      let report = try release()
      guard let failure = report.failure else { return }
      SystemLog.warn("\(failure)")
    } catch {
      SystemLog.warn("snapshots could not be removed, run pgstill release: \(error)")
    }
  }

  private func answer(
    _ request: BrokerRequest, _ folders: [OpenFolder], _ enclosed: inout Enclosures
  ) throws -> BrokerReply {
    switch request {
    case .survey(let names): return .surveyed(try survey(names).map(facts))
    case .giveWay:
      givesWay = true
      return .givesWay
    case .makeWay(let names): return .madeWay(try makeWay(for: names, folders))
    case .prepare(let run, let requests):
      return .prepared(try prepare(run, requests, folders))
    case .freeze(let deadline): return .frozen(try freeze(deadline: deadline))
    case .thaw:
      try thaw()
      return .thawed
    case .open:
      try requireFrozen()
      enclosed.folders = try snapshots.map { try $0.open() }
      done("opened")
      return .opened
    case .fill:
      if let givenUp { throw givenUp }
      try requireUnwanted()
      lastLook = Stopwatch()
      return .filled(try snapshots.map { try $0.fill() })
    case .overwritten:
      guard let lists = try overwritten() else { return .readingOverwritten }
      enclosed.files = try lists.compactMap { try $0?.file() }
      return .overwritten(lists.map { $0?.chunkSize })
    case .extend(let origin, let size): return .extended(try extend(origin, to: size))
    case .release: return .released(try release())
    case .sweep: return .released(try Leftovers(lvm: lvm).sweep())
    case .held: return .held(try Leftovers(lvm: lvm).held())
    case .unit(let request): return .unit(try units.answer(request))
    }
  }

  /// LVM's rows of these volumes, in their order. The names came from the other side of the socket;
  /// a `VolumeName` that was read from a line consists of LVM's own characters only.
  private func survey(_ names: [VolumeName]) throws -> [LVMVolume] {
    guard !names.isEmpty else { return [] }
    let rows = try lvm.volumes(names.map(\.description))
    return try names.map { name in
      guard let row = rows.first(where: { $0.name == name }) else {
        throw StillError(.volumes, "LVM does not know the volume \(name)")
      }
      return row
    }
  }

  private func facts(of row: LVMVolume) -> VolumeFacts {
    let pool = row.poolName.flatMap { name in
      (try? ThinPoolDevice(name: name).status()).map { (name, $0) }
    }
    return row.facts(pool: pool, hasSnapshotTarget: KernelTarget.isAvailable("snapshot"))
  }

  /// Whoever has no business with a volume may not end other people's probes of it.
  private func makeWay(for names: [VolumeName], _ folders: [OpenFolder]) throws -> [RunID] {
    _ = try VolumeClaim(owner: owner, mounts: try .current()).mounts(of: names, folders)
    let asked = try RunLock.makeWay(for: names, within: Broker.longestWayMaking)
    // One whose broker was killed has left its snapshots, and they take room.
    if !asked.isEmpty { _ = try? Leftovers(lvm: lvm).sweep() }
    return asked
  }

  private func prepare(
    _ run: RunID, _ requests: [SnapshotRequest], _ folders: [OpenFolder]
  ) throws -> [SnapshotFacts] {
    guard self.run == nil else { throw StillError(.volumes, "this broker holds a set already") }
    guard requests.count <= Broker.mostVolumes else {
      throw StillError(.precondition, "more than \(Broker.mostVolumes) volumes in one set")
    }
    let rows = try survey(requests.map(\.origin))
    let claim = VolumeClaim(owner: owner, mounts: try .current())
    let places = try claim.mounts(of: rows.map(\.name), folders)
    for facts in rows.map(facts) {
      if let obstacle = facts.obstacle {
        throw StillError(
          .precondition, "volume \(facts.name) cannot be snapshotted: \(obstacle)",
          hint: facts.remedy)
      }
    }
    // A probe may have begun since the room was counted.
    if !givesWay {
      _ = try RunLock.makeWay(for: rows.map(\.name), within: Broker.longestWayMaking)
    }
    hasLeftovers = try !Leftovers(lvm: lvm).sweep().left.isEmpty
    TestHooks.reached("swept")
    lock = try RunLock.take(run, of: requests.map(\.origin), givesWay: givesWay)
    self.run = run
    origins = requests.map(\.origin)
    do {
      for ((request, row), mount) in zip(zip(requests, rows), places) {
        let snapshot: any FreezableSnapshot =
          row.kind == .thin
          ? try ThinSnapshot.create(of: row, run: run, mount: mount, with: lvm)
          : try ClassicSnapshot.create(request, run: run, mount: mount, with: lvm)
        snapshots.append(snapshot)
        done("created\(snapshots.count)", "\(snapshot.facts.snapshot)")
      }
      for index in snapshots.indices { try snapshots[index].disarm() }
      done("disarmed")
      return snapshots.map(\.facts)
    } catch var failure as StillError {
      failure.further += (try? release().failure?.message).flatMap { $0.map { [$0] } } ?? []
      throw failure
    }
  }

  /// - Throws: `.busy` where this run gives way, and somebody wants to copy its volumes.
  private func requireUnwanted() throws {
    if givesWay, lock?.isWanted == true {
      throw StillError(.busy, "another run needs the volumes for a copy")
    }
  }

  private func freeze(deadline: Double) throws -> FreezeReport {
    try requireUnwanted()
    guard !snapshots.isEmpty, !isFrozen, givenUp == nil, deadline > 0, deadline <= 60 else {
      throw StillError(.volumes, "there is nothing to freeze, or it is frozen already")
    }
    // An LVM command that reloaded an origin meanwhile has put our snapshot's table in place too.
    for index in snapshots.indices where try !snapshots[index].isDisarmed() {
      try snapshots[index].disarm()
      guard try snapshots[index].isDisarmed() else {
        throw StillError(
          .volumes, "snapshot \(snapshots[index].facts.snapshot) could not be made to wait")
      }
    }
    for snapshot in snapshots { try snapshot.requireCopyingOrigin() }
    let report = try FreezeWindow(snapshots: snapshots).run(deadline: deadline)
    for snapshot in snapshots { try snapshot.settle(with: lvm) }
    for fill in try snapshots.map({ try $0.fill() }) where fill.state != .valid {
      throw StillError(.volumes, "snapshot \(fill.snapshot) is not valid right after the freeze")
    }
    isFrozen = true
    lastLook = Stopwatch()
    done(RunStep.frozen, "\(report.beganMicroseconds)")
    return report
  }

  /// Makes the snapshots wait, empty, as after their preparation.
  private func thaw() throws {
    try requireFrozen()
    isFrozen = false
    for index in snapshots.indices {
      try snapshots[index].device.waitUntilClosed()
      try snapshots[index].unsettle(with: lvm)
      try snapshots[index].disarm()
    }
    done(RunStep.thawed)
  }

  /// Nil while there is more to be read.
  private func overwritten() throws -> [OverwrittenChunks?]? {
    try requireFrozen()
    var lists: [OverwrittenChunks?] = []
    for index in snapshots.indices {
      switch try snapshots[index].overwritten(within: Broker.longestReading) {
      case .complete(let list): lists.append(list)
      case .reading: return nil
      case .tooLong, nil: lists.append(nil)
      }
    }
    // One that overflowed lists nothing more.
    for fill in try snapshots.map({ try $0.fill() }) where fill.state != .valid {
      throw StillError(.overflow, "snapshot \(fill.snapshot) is no longer valid")
    }
    return lists
  }

  private func extend(_ origin: VolumeName, to size: UInt64) throws -> SnapshotFacts {
    if let givenUp { throw givenUp }
    guard isFrozen, let index = snapshots.firstIndex(where: { $0.facts.origin == origin }) else {
      throw StillError(.volumes, "there is no frozen snapshot of \(origin)")
    }
    let facts = try survey([origin]).map(facts)[0]
    let wanted = min(
      SizingBasis.wholeExtents(size, of: facts), SizingBasis.most(for: facts))
    // LVM takes a size that is not larger for a mistake.
    if facts.kind == .thin || wanted > snapshots[index].facts.size {
      try snapshots[index].extend(to: wanted, with: lvm)
    }
    done("extended", "\(snapshots[index].facts.snapshot)")
    return snapshots[index].facts
  }

  /// Writes down how far the run has come.
  private func done(_ step: String, _ detail: String = "") {
    lock?.note(step, detail)
    TestHooks.reached(step)
  }

  private func release() throws -> ReleaseReport {
    guard let run else { return ReleaseReport() }
    var report = try Leftovers(lvm: lvm).remove(run: run, of: origins)
    for name in report.removed { lock?.note(RunStep.removed, "\(name)") }
    isFrozen = false
    // What could not be removed is still this run's: the next release tries again.
    if report.left.isEmpty {
      RunLock.forget(run)
      snapshots = []
      lock = nil
      self.run = nil
      givenUp = nil
    }
    // Another try with what was in the way of nobody, and is told with this run's own.
    if hasLeftovers { report.add(try Leftovers(lvm: lvm).sweep()) }
    return report
  }
}
