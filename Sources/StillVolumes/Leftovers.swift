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

  /// Removes everything that runs have left whose broker is dead.
  func sweep() throws -> ReleaseReport {
    var report = ReleaseReport()
    for (run, volumes) in Dictionary(grouping: try ours(), by: { RunTag.run(in: $0.tags) }) {
      guard let run, try !RunLock.isAlive(run) else { continue }
      try resumeOrigins(of: volumes)
      let one = remove(volumes)
      if one.left.isEmpty { RunLock.forget(run) }
      report.removed += one.removed
      report.left += one.left
    }
    return report
  }

  private func ours() throws -> [LVMVolume] {
    try lvm.volumes(["--select", "lv_tags=\(RunTag.ours)"]).filter {
      // Tags can be put on anything; only a snapshot is ever removed.
      $0.tags.contains(RunTag.ours) && !$0.origin.isEmpty
    }
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

  /// Broker and guard of a run can have been killed together inside the window. LVM, which was just
  /// asked for its report, holds none of these devices suspended itself.
  private func resumeOrigins(of snapshots: [LVMVolume]) throws {
    for snapshot in snapshots {
      let origin = VolumeName(group: snapshot.name.group, volume: snapshot.origin)
      let device = DeviceMapper(name: origin.deviceName)
      if try device.isSuspended() { try device.resume() }
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
