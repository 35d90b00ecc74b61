import StillModel
import SystemPackage

/// What the kernel says of block devices in sysfs, readable by everybody.
public enum BlockDevices {
  /// What carries a file system on this device.
  public enum Carrier: Equatable, Sendable {
    case logicalVolume(VolumeName)
    /// Something that cannot be snapshotted, in words.
    case other(String)
  }

  /// - Parameter sysfs: `/sys`, elsewhere in tests.
  public static func carrier(of device: DeviceNumber, sysfs: FilePath = "/sys") -> Carrier {
    let folder = sysfs.appending("dev/block/\(device)")
    if let uuid = text(folder.appending("dm/uuid")), let name = text(folder.appending("dm/name")) {
      // LVM's UUIDs are "LVM-", the group's and the volume's; a suffix marks a hidden layer.
      if uuid.hasPrefix("LVM-"), uuid.utf8.count == 68, let volume = VolumeName(deviceName: name) {
        return .logicalVolume(volume)
      }
      let owner = uuid.split(separator: "-").first.map { String($0).lowercased() } ?? "unknown"
      let layer =
        owner == "crypt" ? "an encrypted (LUKS) layer" : "a device-mapper layer (\(owner))"
      let below = volumesBelow(folder).map(\.description).joined(separator: ", ")
      return .other(
        "\(layer), /dev/mapper/\(name), lies between the file system and "
          + (below.isEmpty ? "LVM" : below))
    }
    if let partition = text(folder.appending("partition")) {
      return .other("it is partition \(partition) of a disk, not a logical volume")
    }
    if text(folder.appending("md/level")) != nil {
      let below = volumesBelow(folder).map(\.description).joined(separator: ", ")
      return .other(
        below.isEmpty
          ? "it is a software RAID device, not a logical volume"
          : "a software RAID layer lies between the file system and \(below)")
    }
    if text(folder.appending("size")) != nil { return .other("it is a disk, not a logical volume") }
    return .other("it is not on a block device")
  }

  /// The logical volumes that a device is made of.
  private static func volumesBelow(_ folder: FilePath) -> [VolumeName] {
    let names = (try? OpenFolder.open(folder.appending("slaves")).names()) ?? []
    return names.compactMap { name in
      let below = folder.pushing(FilePath("slaves/\(name)/dm"))
      guard text(below.appending("uuid"))?.hasPrefix("LVM-") == true else { return nil }
      return text(below.appending("name")).flatMap { VolumeName(deviceName: $0) }
    }
  }

  /// The name in `/dev/mapper` of a device that device-mapper makes; nil for any other.
  public static func mapperName(of device: DeviceNumber, sysfs: FilePath = "/sys") -> String? {
    text(sysfs.appending("dev/block/\(device)/dm/name"))
  }

  /// Bytes that were written to a device since the machine started; nil where it is none that counts them
  /// (Linux, block/stat.rst: the seventh number, in sectors of 512 bytes).
  public static func bytesWritten(to device: DeviceNumber, sysfs: FilePath = "/sys") -> UInt64? {
    guard let line = text(sysfs.appending("dev/block/\(device)/stat")) else { return nil }
    let numbers = line.split(whereSeparator: \.isWhitespace).map { UInt64($0) }
    return numbers.count > 6 ? numbers[6].map { $0 * 512 } : nil
  }

  private static func text(_ path: FilePath) -> String? {
    guard let bytes = try? OpenFile.open(path).readAll(limit: 4096) else { return nil }
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n").first.map(String.init)
  }
}

extension VolumeName {
  /// The volume's name in `/dev/mapper`: `group-volume`, where each hyphen of a name is doubled
  /// (libdm, dm_build_dm_name).
  public var deviceName: String {
    VolumeName.doubled(group) + "-" + VolumeName.doubled(volume)
  }

  /// Reads a name of `/dev/mapper`; nil where it is not of that form.
  public init?(deviceName: String) {
    let bytes = Array(deviceName.utf8)
    let hyphen = UInt8(ascii: "-")
    var index = 0
    var group: [UInt8] = []
    while index < bytes.count {
      if bytes[index] == hyphen {
        guard index + 1 < bytes.count, bytes[index + 1] == hyphen else { break }
        index += 1
      }
      group.append(bytes[index])
      index += 1
    }
    let rest = String(decoding: bytes.dropFirst(index + 1), as: UTF8.self)
    let volume = rest.replacing("--", with: "-")
    self.init("\(String(decoding: group, as: UTF8.self))/\(volume)")
    guard self.deviceName == deviceName else { return nil }
  }

  private static func doubled(_ name: String) -> String { name.replacing("-", with: "--") }
}
