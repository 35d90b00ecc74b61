import CFreeze
import StillModel
import StillSystem
import SystemPackage

/// Fills in a freeze window, lets it run, and reads what happened. The window itself is CFreeze.
struct FreezeWindow {
  let snapshots: [any FreezableSnapshot]

  /// - Parameter deadline: in seconds; then the guards resume every origin.
  /// - Throws: `.volumes` where the set is not of one instant.
  func run(deadline: Double) throws -> FreezeReport {
    let control = try OpenFile.open("/dev/mapper/control", .update(permissions: 0o600))
    let window = UnsafeMutablePointer<freeze_window>.allocate(capacity: 1)
    window.initialize(to: freeze_window())
    defer { window.deallocate() }
    window.pointee.control = control.descriptor
    window.pointee.deadline_nanoseconds = Int64(deadline * 1e9)
    if let pause = TestHooks.announced(steps) {
      window.pointee.pause_step = UInt32(pause.step) + 1
      window.pointee.pause_nanoseconds = Int64(pause.rest) * 1_000_000
    }
    // A mount point may be a file, or lie below another mount; then the suspend has more to flush.
    let folders = snapshots.map { try? OpenFolder.open($0.mount.mountPoint) }
    defer { folders.forEach { $0?.close() } }
    for (snapshot, folder) in zip(snapshots, folders) {
      guard
        freeze_add_origin(window, snapshot.facts.origin.deviceName, folder?.descriptor ?? -1) == 0,
        snapshot.addTake(to: window)
      else { throw StillError(.volumes, "more volumes than one freeze can hold") }
    }
    // The window and the guards know it by its number only.
    withExtendedLifetime(control) { freeze_run(window) }
    try check(window.pointee)
    return report(window.pointee)
  }

  /// The window's steps, as CFreeze counts them.
  private var steps: [String] {
    func each(_ name: String) -> [String] { snapshots.indices.map { "\(name)\($0 + 1)" } }
    return ["synced"] + each("suspended") + ["all-suspended"] + each("taken") + each("resumed")
  }

  private func check(_ window: freeze_window) throws {
    let index = Int(window.failed_index)
    let facts = index < snapshots.count ? snapshots[index].facts : nil
    let name = facts?.origin.description ?? "?"
    let reason = StillError.reason(window.failed_errno)
    let again = "Every origin runs on and nothing was published; run again."
    switch window.outcome {
    case FREEZE_DONE: return
    case FREEZE_ORIGIN_BUSY:
      throw StillError(
        .volumes,
        "another command is at work on origin \(name): it is suspended, or a table waits in it",
        hint: "Wait for it to end (dmsetup info shows the state), and run again. Where none is at "
          + "work, one was cut short: lvchange --refresh \(name)")
    case FREEZE_SUSPEND_FAILED:
      throw StillError(
        .volumes, "origin \(name) could not be suspended: \(reason)",
        hint: Errno(rawValue: window.failed_errno) == .resourceBusy
          ? "Its file system is frozen already (fsfreeze?); thaw it and run again."
          : "Look for another LVM command at work on it, and run again.")
    case FREEZE_NOT_SUSPENDED:
      throw StillError(
        .volumes, "origin \(name) was resumed by somebody else inside the freeze window",
        hint: again)
    case FREEZE_BEGAN_EARLY:
      throw StillError(
        .volumes, "the snapshot of \(name) was put in place by another command before the window",
        hint: again)
    case FREEZE_TAKE_FAILED:
      throw StillError(
        .volumes, "the snapshot of \(name) could not be taken: \(reason)", hint: again)
    case FREEZE_RESUME_FAILED:
      throw StillError(
        .volumes, "origin \(name) is suspended still, and whoever writes to it waits",
        hint: "Run at once: dmsetup resume \(facts?.origin.deviceName ?? name)")
    case FREEZE_RESUMED_LATE:
      throw StillError(
        .volumes, "origin \(name) could not be resumed at once: \(reason)",
        hint: "It runs now. Look into the kernel's log (dmesg) for what its disk says.")
    case FREEZE_GUARD_ACTED:
      throw StillError(
        .volumes, "the freeze window passed its deadline, and the guards resumed every origin",
        hint: "The disks were too busy to be flushed in time. Nothing was published; run again, or "
          + "with a longer --freeze-deadline.")
    case FREEZE_NOT_LOCKED:
      throw StillError(
        .volumes, "the broker may not lock its memory: \(reason)",
        hint: "In a container, give it CAP_IPC_LOCK; nothing was suspended.")
    default:
      throw StillError(
        .volumes, "a guard of the freeze window could not be started or was killed: \(reason)",
        hint: again)
    }
  }

  private func report(_ window: freeze_window) -> FreezeReport {
    var window = window
    let suspends = FreezeWindow.steps(&window.suspends, FREEZE_MAX_ORIGINS)
    let taken = FreezeWindow.steps(&window.taken, FREEZE_MAX_TAKES)
    let resumes = FreezeWindow.steps(&window.resumes, FREEZE_MAX_ORIGINS)
    let zero = suspends.first?.begin ?? 0
    func span(_ step: freeze_step) -> Span {
      Span(begin: Double(step.begin - zero) / 1e6, end: Double(step.end - zero) / 1e6)
    }
    let volumes = snapshots.enumerated().map { index, snapshot in
      FreezeReport.Volume(
        origin: snapshot.facts.origin, snapshot: snapshot.facts.snapshot,
        suspend: span(suspends[index]), take: span(taken[index]), resume: span(resumes[index]))
    }
    return FreezeReport(beganMicroseconds: window.began, volumes: volumes)
  }

  /// C's fixed array comes as a tuple; this is the same memory as an array.
  private static func steps<Tuple>(_ tuple: inout Tuple, _ count: some BinaryInteger)
    -> [freeze_step]
  {
    withUnsafeBytes(of: &tuple) { Array($0.bindMemory(to: freeze_step.self).prefix(Int(count))) }
  }
}
