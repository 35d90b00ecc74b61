import StillModel
import StillSystem

/// Finds our snapshots by their tags and removes them: those of one run, or those of every run that
/// has died. What does not carry our tags is never looked at twice.
struct Leftovers {
  let lvm: LVM

  /// Removes everything that `run` made.
  func remove(run: RunID) throws -> ReleaseReport {
    remove(try ours().filter { RunTag.run(in: $0.tags) == run })
  }

  /// Gives back everything that runs of this host have left whose broker is dead: lets run what they
  /// have suspended, and removes their snapshots.
  func sweep() throws -> ReleaseReport {
    for (run, origins) in try RunLock.dead() { try resumeDevices(of: run, origins) }
    var report = ReleaseReport()
    for (run, volumes) in Dictionary(grouping: try ours(), by: { RunTag.run(in: $0.tags) }) {
      guard let run, try !RunLock.isAlive(run) else { continue }
      report.add(remove(volumes))
    }
    // Forgotten only now: a run that has left something is found by its name again.
    for (run, _) in try RunLock.dead()
    where !report.left.contains(where: { isOf(run, $0.snapshot) }) {
      RunLock.forget(run)
    }
    return report
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
    snapshot.volume.hasSuffix(ClassicSnapshot.suffix(of: run))
  }

  private func remove(_ volumes: [LVMVolume]) -> ReleaseReport {
    var report = ReleaseReport()
    for volume in volumes {
      do {
        try waitUntilClosed(volume.name)
        try clear(volume.name)
        try lvm.run(["lvremove", "--yes", "--force", volume.name.description])
        report.removed.append(volume.name)
      } catch {
        let reason = (error as? StillError)?.message ?? "\(error)"
        report.left.append(.init(snapshot: volume.name, reason: reason))
      }
    }
    return report
  }

  /// Broker and guard of a run can have been killed together inside the window, or the broker in the
  /// middle of an LVM command, which suspends an origin for a moment too.
  private func resumeDevices(of run: RunID, _ origins: [VolumeName]) throws {
    for origin in origins {
      let snapshot = ClassicSnapshot.name(of: origin, run: run)
      // A device is resumed before those that are stacked on it.
      let names = [
        origin.deviceName + "-real", snapshot.deviceName + "-cow", snapshot.deviceName,
        origin.deviceName,
      ]
      for device in names.map({ DeviceMapper(name: $0) }) where try device.isSuspended() {
        try device.resume()
      }
    }
  }

  /// The inactive table of a snapshot that was disarmed and never taken holds the origin's own
  /// device, and with it LVM's removal of the last snapshot, which then fails half-way.
  private func clear(_ name: VolumeName) throws {
    let device = DeviceMapper(name: name.deviceName)
    if try device.exists() { try device.clear() }
  }

  /// An unmount ends a moment after the last descriptor is closed.
  private func waitUntilClosed(_ name: VolumeName) throws {
    for _ in 0..<100 {
      if try DeviceMapper(name: name.deviceName).openCount() == 0 { return }
      Clock.sleep(milliseconds: 50)
    }
    throw StillError(.leftBehind, "it is still open")
  }
}
