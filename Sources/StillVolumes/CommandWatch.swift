import CFreeze
import StillModel
import StillSystem

/// Guards over a command of LVM's, which suspends devices for a moment of its own: should this process
/// die in the middle of it, they let run what is suspended. A command that takes long is left to
/// itself: nobody but LVM knows when its suspend is over.
enum CommandWatch {
  /// What LVM suspends when it makes, extends or removes a snapshot, by the names in `/dev/mapper`:
  /// each device before those that are stacked on it.
  static func devices(of origin: VolumeName, and snapshot: VolumeName) -> [String] {
    poolDevices(of: origin) + [
      origin.deviceName + "-real", snapshot.deviceName + "-cow", snapshot.deviceName,
      origin.deviceName,
    ]
  }

  /// The devices of a thin volume's pool.
  private static func poolDevices(of origin: VolumeName) -> [String] {
    // "thin POOL NUMBER", the pool as MAJOR:MINOR.
    guard let line = try? DeviceMapper(name: origin.deviceName).table().first,
      line.target == "thin",
      let pool = line.parameters.split(separator: " ").first.flatMap({ DeviceNumber($0) }),
      let name = BlockDevices.mapperName(of: pool), name.hasSuffix("-tpool")
    else { return [] }
    let stem = String(name.dropLast("-tpool".count))
    return [stem + "_tmeta", stem + "_tdata", name, stem]
  }

  /// - Parameter devices: by their names in `/dev/mapper`, each before those that are stacked on it.
  /// - Parameter body: where it throws, what it has left suspended is let run.
  /// - Throws: `.volumes` where no guard could be started; then `body` was not run.
  static func over<Result>(_ devices: [String], _ body: () throws -> Result) throws -> Result {
    guard !devices.isEmpty else { return try body() }
    let control = try OpenFile.open("/dev/mapper/control", .update(permissions: 0o600))
    let window = UnsafeMutablePointer<freeze_window>.allocate(capacity: 1)
    window.initialize(to: freeze_window())
    defer { window.deallocate() }
    window.pointee.control = control.descriptor
    for device in devices where freeze_add_origin(window, device, -1) != 0 {
      throw StillError(.volumes, "more devices than one command of LVM's can have guarded")
    }
    let reason = freeze_watch_begin(window)
    guard reason == 0 else {
      throw StillError(
        .volumes, "the guards of an LVM command could not be started: \(StillError.reason(reason))",
        hint: "In a container, give it CAP_IPC_LOCK; LVM was not asked to do anything.")
    }
    defer { withExtendedLifetime(control) { freeze_watch_end(window) } }
    do {
      return try body()
    } catch {
      try? StuckDevices.letRun(devices)
      throw error
    }
  }
}
