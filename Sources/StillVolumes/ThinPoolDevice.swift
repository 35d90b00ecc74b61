import StillModel
import StillSystem

/// The device of a thin pool, `group-pool-tpool`: LVM keeps the pool itself in a hidden layer.
struct ThinPoolDevice {
  let name: VolumeName

  var device: DeviceMapper { DeviceMapper(name: name.deviceName + "-tpool") }

  /// - Throws: `.volumes` where the device is not there, or is no pool.
  func status() throws -> ThinPoolStatus {
    // "thin-pool METADATA DATA BLOCK-SIZE LOW-WATER …", the size in sectors.
    let table = try device.table().first
    let blockSize = table?.parameters.split(separator: " ").dropFirst(2).first.flatMap {
      UInt64($0)
    }
    guard let blockSize, table?.target == "thin-pool", let line = try device.status().first,
      let status = ThinPoolStatus(line.parameters, blockSize: blockSize * 512)
    else { throw StillError(.volumes, "\(device.name) does not answer as a thin pool") }
    return status
  }
}
