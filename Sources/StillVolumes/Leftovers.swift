import StillModel
import StillSystem

/// Finds our snapshots by their tags and removes them: those of one run, or those of every run that
/// has died. What does not carry our tags is never looked at twice.
struct Leftovers {
  let lvm: LVM

  /// Removes everything that `run`, our own one, made of these origins.
  func remove(run: RunID, of origins: [VolumeName]) throws -> ReleaseReport {
    // LVM would wait for what a command of its own, or the window, has left suspended.
    try StuckDevices.letRun(origins.flatMap { deviceNames(of: run, $0) })
    return remove(try ours().filter { RunTag.run(in: $0.tags) == run })
  }

  /// Gives back everything that runs of this host have left whose broker is dead: lets run what they
  /// have suspended, and removes their snapshots.
  func sweep() throws -> ReleaseReport {
    // A run that is dead now stays dead: its name is never used again. One that begins from here on
    // is not among them, whatever it makes.
    let dead = try RunLock.dead()
    try resumeDevices(of: dead)
    var report = ReleaseReport()
    // Listed after that: a run that ended in order has taken its snapshots with it.
    for (run, volumes) in Dictionary(grouping: try ours(), by: { RunTag.run(in: $0.tags) }) {
      guard let run, try !RunLock.isAlive(run) else { continue }
      report.add(remove(volumes))
    }
    // Forgotten only now: a run that has left something is found by its name again.
    for (run, origins) in dead where !report.left.contains(where: { isOf(run, $0.snapshot) }) {
      guard try origins.allSatisfy({ try suspended(of: run, $0).isEmpty }) else { continue }
      try removeDevices(of: run, origins)
      RunLock.forget(run)
    }
    return report
  }

  /// What every run holds, or has left.
  func held() throws -> [HeldSet] {
    let known = try RunLock.known()
    let rows = Dictionary(grouping: try ours(), by: { RunTag.run(in: $0.tags) })
    let runs = Set(known.map(\.run)).union(rows.keys.compactMap { $0 }).sorted()
    return try runs.map { run in
      let volumes = rows[run] ?? []
      let origins = Set(known.first { $0.run == run }?.origins ?? [])
        .union(volumes.compactMap(\.originName))
      return HeldSet(
        run: run, isAlive: known.first { $0.run == run }?.isAlive ?? false,
        origins: origins.sorted(), snapshots: volumes.map(held),
        frozenMicroseconds: known.first { $0.run == run }?.frozenMicroseconds,
        suspendedDevices: try origins.sorted().flatMap { try suspended(of: run, $0) })
    }
  }

  private func held(_ volume: LVMVolume) -> HeldSet.Snapshot {
    let origin = volume.originName
    let store = volume.kind == .thin ? nil : try? COWStore(of: volume.name).size
    let facts = SnapshotFacts(
      origin: origin ?? volume.name, snapshot: volume.name, kind: volume.kind,
      size: store ?? volume.size)
    let fill =
      if let pool = volume.poolName {
        try? ThinSnapshot.fill(facts, in: ThinPoolDevice(name: pool))
      } else {
        try? ClassicSnapshot.fill(facts)
      }
    return HeldSet.Snapshot(
      name: volume.name, origin: origin, kind: facts.kind, size: facts.size,
      fill: fill.flatMap { $0.state == .unknown ? nil : $0 })
  }

  /// The devices of a run on one origin, each before those that are stacked on it.
  private func deviceNames(of run: RunID, _ origin: VolumeName) -> [String] {
    CommandWatch.devices(of: origin, and: SnapshotName.name(of: origin, run: run))
  }

  private func suspended(of run: RunID, _ origin: VolumeName) throws -> [String] {
    try deviceNames(of: run, origin).filter { try DeviceMapper(name: $0).isSuspended() }
  }

  /// Tags can be put on anything; only what also has the name that we give to snapshots is removed.
  /// A snapshot whose creation was cut short has no origin yet, and is an ordinary volume.
  private func ours() throws -> [LVMVolume] {
    try lvm.volumes(["--select", "lv_tags=\(RunTag.ours)"]).filter { volume in
      guard let run = RunTag.run(in: volume.tags) else { return false }
      return volume.tags.contains(RunTag.ours) && RunTag.isOfThisHost(volume.tags)
        && isOf(run, volume.name)
    }
  }

  private func isOf(_ run: RunID, _ snapshot: VolumeName) -> Bool {
    snapshot.volume.hasSuffix(SnapshotName.suffix(of: run))
  }

  private func remove(_ volumes: [LVMVolume]) -> ReleaseReport {
    var report = ReleaseReport()
    for volume in volumes {
      do {
        try DeviceMapper(name: volume.name.deviceName).waitUntilClosed()
        try clear(volume.name)
        do {
          try removeVolume(volume)
        } catch let failure {
          guard undoCreation(of: volume) else { throw failure }
          try removeVolume(volume)
        }
        report.removed.append(volume.name)
        TestHooks.reached("removed\(report.removed.count)")
      } catch {
        // Two sweeps at once find the same: what the other one removed is gone, and not left.
        if let rows = try? ours(), !rows.contains(where: { $0.name == volume.name }) { continue }
        let reason = (error as? StillError)?.message ?? "\(error)"
        report.left.append(.init(snapshot: volume.name, reason: reason))
      }
    }
    return report
  }

  /// Broker and guards of a run can have been killed together, inside the window or in the middle of an
  /// LVM command, which suspends an origin for a moment too. Devices that a run at work has to do with
  /// are its own to resume, and its guards'.
  private func resumeDevices(of dead: [(run: RunID, origins: [VolumeName])]) throws {
    func names(of run: RunID, _ origins: [VolumeName]) -> [String] {
      origins.flatMap { deviceNames(of: run, $0) }
    }
    let stuck = dead.flatMap { names(of: $0.run, $0.origins) }
    let inUse = try RunLock.known().filter(\.isAlive).flatMap { names(of: $0.run, $0.origins) }
    // Some are of several runs.
    var seen = Set(inUse)
    try StuckDevices.letRun(stuck.filter { seen.insert($0).inserted })
  }

  /// An LVM command that was cut short leaves devices that its metadata do not know.
  private func removeDevices(of run: RunID, _ origins: [VolumeName]) throws {
    for origin in origins {
      let hidden = DeviceMapper(name: origin.deviceName + "-real")
      let hasSnapshots = try hidden.exists() && isOrigin(origin)
      if try !hasSnapshots && hidden.exists() {
        // LVM puts the tables right under its own lock.
        try lvm.run(
          ["lvchange", "--refresh", origin.description],
          suspending: [hidden.name, origin.deviceName])
      }
      let snapshot = SnapshotName.name(of: origin, run: run).deviceName
      var orphans = [snapshot, snapshot + "-cow"].map { DeviceMapper(name: $0) }
      if !hasSnapshots { orphans.append(hidden) }
      for orphan in orphans where try orphan.exists() && orphan.openCount() == 0 {
        try orphan.remove()
      }
    }
  }

  private func isOrigin(_ volume: VolumeName) throws -> Bool {
    try lvm.volumes([volume.description]).contains { $0.attributes.lowercased().hasPrefix("o") }
  }

  /// The inactive table of a snapshot that was disarmed and never taken holds the origin's own
  /// device, and with it LVM's removal of the last snapshot, which then fails half-way.
  private func clear(_ name: VolumeName) throws {
    let device = DeviceMapper(name: name.deviceName)
    if try device.exists() { try device.clear() }
  }

  /// What the removal of a snapshot suspends. One whose creation was cut short has no origin.
  private func devices(of volume: LVMVolume) -> [String] {
    volume.originName.map { CommandWatch.devices(of: $0, and: volume.name) } ?? []
  }

  private func removeVolume(_ volume: LVMVolume) throws {
    try lvm.run(
      ["lvremove", "--yes", "--force", volume.name.description], suspending: devices(of: volume))
  }

  /// Where LVM was cut short between a thin snapshot's device in the pool and the pool's transaction
  /// number, it sends its `create_snap` again before anything else that it does to the pool, and
  /// gives up because the device is there (libdm, _thin_pool_node_message). Without the device it
  /// goes on.
  ///
  /// - Returns: whether there was such a device.
  private func undoCreation(of volume: LVMVolume) -> Bool {
    guard volume.kind == .thin, let pool = volume.poolName, let number = volume.thinNumber,
      // One that is active was finished, and cannot be deleted.
      (try? DeviceMapper(name: volume.name.deviceName).exists()) == false
    else { return false }
    return (try? ThinPoolDevice(name: pool).device.send("delete \(number)")) != nil
  }
}
