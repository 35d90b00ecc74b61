import CStill
import StillModel
import SystemPackage

/// Who keeps a block device in use: processes that have it open, or something on its file system;
/// places where that is mounted, in whatever mount namespace; devices that are made of it.
public enum DeviceHolders {
  /// Each in words: `pid 123 (tar)`, `mounted at /mnt/x in the namespace of pid 1`. Only root sees
  /// all of them.
  ///
  /// - Parameters:
  ///   - proc: `/proc`, elsewhere in tests.
  ///   - sysfs: `/sys`, elsewhere in tests.
  public static func of(
    _ device: DeviceNumber, proc: FilePath = "/proc", sysfs: FilePath = "/sys"
  ) -> [String] {
    let processes = ((try? OpenFolder.open(proc).names()) ?? []).filter { Int32($0.string) != nil }
      .sorted { (Int32($0.string) ?? 0) < (Int32($1.string) ?? 0) }
    var open: [String] = []
    var mounted: [String] = []
    var seen: Set<String> = []
    for process in processes {
      // Processes end while we look.
      guard let folder = try? OpenFolder.open(proc.appending(process.components)) else { continue }
      if holds(folder, device) { open.append("pid \(process) (\(name(of: folder)))") }
      // Processes of one namespace all see the same mounts.
      let namespace = (try? folder.target(ofLink: "ns/mnt")).map {
        String(decoding: $0, as: UTF8.self)
      }
      guard seen.insert(namespace ?? process.string).inserted,
        let bytes = try? folder.file("mountinfo").readAll()
      else { continue }
      for entry in MountTable(parsing: bytes).entries where entry.device == device {
        mounted.append("mounted at \(entry.mountPoint) in the namespace of pid \(process)")
      }
    }
    return open + mounted + stacked(on: device, sysfs)
  }

  /// The first few of them, and how many more there are.
  public static func sentence(_ holders: [String], limit: Int = 6) -> String {
    let more = holders.count > limit ? " and \(holders.count - limit) more" : ""
    return "held by " + holders.prefix(limit).joined(separator: ", ") + more
  }

  private static func holds(_ process: OpenFolder, _ device: DeviceNumber) -> Bool {
    let descriptors = (try? process.folder("fd")).flatMap { try? $0.names() } ?? []
    let names = descriptors.map { "fd/\($0)" } + ["cwd", "root", "exe"]
    return names.contains { name in
      var fileSystem: [UInt32] = [0, 0]
      var block: [UInt32] = [0, 0]
      guard still_devices(process.descriptor, name, &fileSystem, &block) == 0 else { return false }
      return [fileSystem, block].contains { $0 == [device.major, device.minor] }
    }
  }

  private static func name(of process: OpenFolder) -> String {
    let bytes = (try? process.file("comm").readAll(limit: 4096)) ?? []
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n").first.map(String.init)
      ?? "?"
  }

  private static func stacked(on device: DeviceNumber, _ sysfs: FilePath) -> [String] {
    let holders = sysfs.appending("dev/block/\(device)/holders")
    return ((try? OpenFolder.open(holders).names()) ?? []).map { name in
      let bytes = try? OpenFile.open(holders.pushing(FilePath("\(name)/dm/name"))).readAll(
        limit: 4096)
      let mapper = bytes.map { String(decoding: $0, as: UTF8.self) }?.split(separator: "\n").first
      return "part of device " + (mapper.map { "/dev/mapper/\($0)" } ?? "\(name)")
    }
  }
}
