import StillModel
import StillSystem

/// Devices that stay suspended though whoever suspended them has failed or died.
enum StuckDevices {
  /// Lets run what is suspended in two looks, a second apart: other programs suspend devices too, for
  /// moments. As the guards do, it drops the tables that wait in them, for what ran before can always
  /// go on. Each is tried, whatever happened to the one before.
  ///
  /// - Parameter names: in `/dev/mapper`, each before those that are stacked on it.
  static func letRun(_ names: [String]) throws {
    let seen = try names.map { DeviceMapper(name: $0) }.filter { try $0.isSuspended() }
    guard !seen.isEmpty else { return }
    Clock.sleep(milliseconds: 1000)
    var failure: (any Error)?
    for device in seen {
      do {
        guard try device.isSuspended() else { continue }
        try device.clear()
        try device.resume()
      } catch let reason {
        failure = reason
      }
    }
    if let failure { throw failure }
  }
}
