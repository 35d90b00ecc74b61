import CDeviceMapper
import StillSystem

/// What the kernel's device-mapper can do.
enum KernelTarget {
  /// Whether the kernel has this target, or can load it (LVM has it loaded when it needs it).
  static func isAvailable(_ name: String) -> Bool {
    if loaded().contains(name) { return true }
    // A trial that loads nothing.
    let trial = try? Child.start(
      "/sbin/modprobe", ["--dry-run", "--quiet", "dm-\(name)"],
      environment: ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin"])
    return trial?.wait() == 0
  }

  /// As `dmsetup targets` says.
  private static func loaded() -> [String] {
    guard let task = dm_task_create(Int32(DM_DEVICE_LIST_VERSIONS)) else { return [] }
    defer { dm_task_destroy(task) }
    guard dm_task_run(task) != 0, let first = dm_task_get_versions(task) else { return [] }
    var names: [String] = []
    var place = UnsafeRawPointer(first)
    while true {
      // struct dm_versions: where the next one is, three numbers of a version, the name.
      let next = place.load(as: UInt32.self)
      names.append(String(cString: (place + 16).assumingMemoryBound(to: CChar.self)))
      guard next > 0 else { return names }
      place += Int(next)
    }
  }
}
