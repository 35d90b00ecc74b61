import StillModel
import StillSystem

/// The devices that LVM suspends when it makes, extends or removes a snapshot.
enum StackedDevices {
  /// By their names in `/dev/mapper`, each device before those that are stacked on it.
  static func of(_ origin: VolumeName, and snapshot: VolumeName) -> [String] {
    pool(of: origin) + [
      origin.deviceName + "-real", snapshot.deviceName + "-cow", snapshot.deviceName,
      origin.deviceName,
    ]
  }

  /// Of a thin volume's pool.
  private static func pool(of origin: VolumeName) -> [String] {
    // "thin POOL NUMBER", the pool as MAJOR:MINOR.
    guard let line = try? DeviceMapper(name: origin.deviceName).table().first,
      line.target == "thin",
      let pool = line.parameters.split(separator: " ").first.flatMap({ DeviceNumber($0) }),
      let name = BlockDevices.mapperName(of: pool), name.hasSuffix("-tpool")
    else { return [] }
    let stem = String(name.dropLast("-tpool".count))
    return [stem + "_tmeta", stem + "_tdata", name, stem]
  }
}
