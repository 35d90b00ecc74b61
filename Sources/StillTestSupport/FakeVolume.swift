import StillEngine
import StillModel
import StillSystem
import SystemPackage

/// A file system of this machine that passes for one on a logical volume.
public struct FakeVolume: Sendable {
  public var name: VolumeName
  /// The folders of the file system that a freeze copies; everything else it does not hold.
  public var folders: [FilePath]
  /// In bytes.
  public var size: UInt64 = 1 << 30
  /// In bytes; the same for all volumes of a group.
  public var groupFree: UInt64 = 10 << 30
  /// In bytes.
  public var extentSize: UInt64 = 4 << 20
  public var obstacle: String?
  public var obstacleIsLasting = true
  public var device: DeviceNumber

  /// - Parameter folders: at least one, all on one file system.
  public init(_ name: String, folders: [FilePath]) throws {
    guard let valid = VolumeName(name) else { throw Trouble("not a volume: \(name)") }
    let devices = try Set(folders.map { try OpenFolder.open($0).metadata().device })
    guard let device = devices.first, devices.count == 1 else {
      throw Trouble("folders of \(devices.count) file systems on one volume: \(folders)")
    }
    self.name = valid
    self.folders = folders
    self.device = device
  }

  /// Where a folder is, counted from the root of the file system that holds it.
  static func innerPath(_ path: FilePath) throws -> FilePath {
    let resolved = try path.resolved()
    let device = try OpenFolder.open(resolved).metadata().device
    guard let mount = try MountTable.current().entry(containing: resolved, device: device) else {
      throw Trouble("\(path) is on no file system of the mount table")
    }
    let below = resolved.components.dropFirst(mount.mountPoint.components.count)
    return FilePath(root: nil, Array(mount.root.components) + Array(below))
  }
}

/// The kernel's view of the machine with fake volumes in it: real mounts, and a folder that takes
/// the place of `/sys`.
public final class FakeSysfs: Sendable {
  private let folder: TestFolder

  /// - Parameter written: bytes that the kernel counts as written to each of them; nil where it counts none.
  public init(_ volumes: [FakeVolume], written: UInt64? = nil) throws {
    folder = try TestFolder(on: .disk)
    for volume in volumes {
      let place = folder.path.pushing(FilePath("dev/block/\(volume.device)/dm"))
      try Tool.demand("mkdir", "-p", place.string)
      let uuid = "LVM-" + String(repeating: "0123456789abcdef", count: 4)
      for (name, text) in [("name", volume.name.deviceName), ("uuid", uuid)] {
        let file = try OpenFile.open(place.appending(name), .create(permissions: 0o644))
        try file.writeAll(Array((text + "\n").utf8))
        try file.close()
      }
      if let written { try count(written, to: volume) }
    }
  }

  /// What the kernel says from now on was written to a volume, in bytes.
  public func count(_ written: UInt64, to volume: FakeVolume) throws {
    let stat = path(of: "stat", volume)
    let file = try OpenFile.open(stat, .update(permissions: 0o644))
    // The seventh number, padded: no reader sees half of it.
    let digits = String(written / 512)
    let padded = String(repeating: " ", count: 16 - digits.count) + digits
    try file.writeAll(Array("1 0 8 0 2 0 \(padded) 0 0 0 0 0 0\n".utf8))
    try file.close()
  }

  public func path(of name: String, _ volume: FakeVolume) -> FilePath {
    folder.path.pushing(FilePath("dev/block/\(volume.device)/\(name)"))
  }

  public func discovery() throws -> LayoutDiscovery {
    LayoutDiscovery(mounts: try .current(), sysfs: folder.path)
  }
}
