import CFreeze
import StillModel
import StillSystem

/// A snapshot inside a thin pool.
///
/// LVM makes it the usual way and leaves it inactive. `disarm` deletes its device in the pool, and
/// the window makes it anew under the same number: the pool's messages `delete` and `create_snap`
/// (Linux, admin-guide/device-mapper/thin-provisioning.rst). LVM's metadata, and with it the pool's
/// transaction number, are true before and after; in between LVM can remove the volume too, for a
/// device that the pool does not know counts as deleted.
struct ThinSnapshot: FreezableSnapshot {
  let facts: SnapshotFacts
  let mount: MountTable.Entry
  let pool: ThinPoolDevice
  /// The numbers of the two devices inside the pool.
  let number: UInt32
  let originNumber: UInt32

  static func create(
    of origin: LVMVolume, run: RunID, mount: MountTable.Entry, with lvm: LVM
  ) throws -> ThinSnapshot {
    let name = SnapshotName.name(of: origin.name, run: run)
    // Inactive whatever lvm.conf says of that: a device in use cannot be deleted.
    try lvm.run(
      SnapshotName.creation(name, of: origin.name, run: run, ["--setactivationskip", "y"]),
      suspending: CommandWatch.devices(of: origin.name, and: name))
    let row = try lvm.volumes([name.description]).first { $0.name == name }
    guard let number = row?.thinNumber, let originNumber = origin.thinNumber,
      let pool = origin.poolName
    else { throw StillError(.volumes, "\(name) is not a thin snapshot after its creation") }
    return ThinSnapshot(
      facts: SnapshotFacts(origin: origin.name, snapshot: name, kind: .thin, size: origin.size),
      mount: mount, pool: ThinPoolDevice(name: pool), number: number, originNumber: originNumber)
  }

  func disarm() throws { try pool.device.send("delete \(number)") }

  /// The pool cannot be asked for the devices that it holds; but one that was activated meanwhile
  /// would show the wrong moment, and cannot be deleted.
  func isDisarmed() throws -> Bool { try !device.exists() }

  /// The pool copies for every device in it, whatever table shows it.
  func requireCopyingOrigin() {}

  func addTake(to window: UnsafeMutablePointer<freeze_window>) -> Bool {
    freeze_add_message(window, pool.device.name, "create_snap \(number) \(originNumber)") == 0
  }

  func settle(with lvm: LVM) throws {
    try lvm.run(
      ["lvchange", "--activate", "y", "--ignoreactivationskip", facts.snapshot.description],
      suspending: CommandWatch.devices(of: facts.origin, and: facts.snapshot))
  }

  func unsettle(with lvm: LVM) throws {
    try lvm.run(["lvchange", "--activate", "n", facts.snapshot.description])
  }

  func extend(to size: UInt64, with lvm: LVM) throws {
    throw StillError(
      .volumes, "\(facts.snapshot) is a thin snapshot, which has no store to extend",
      hint: "Extend its pool: lvextend --size +SIZE \(pool.name)")
  }

  func giveUp() throws {
    // The pool does not delete a device that is in use.
    let length = try device.table().reduce(0) { $0 + $1.length }
    try device.load(
      DeviceMapper.Line(start: 0, length: length, target: "error", parameters: ""))
    try device.resume(isHidden: true)
    try disarm()
  }

  /// Two devices of a pool can be compared by the metadata of the pool only, which is not to be read
  /// while it is at work (thin_delta).
  func overwritten(within seconds: Double) -> ExceptionTable.State? { nil }

  func fill() throws -> SnapshotFill { try ThinSnapshot.fill(facts, in: pool) }

  static func fill(_ facts: SnapshotFacts, in pool: ThinPoolDevice) throws -> SnapshotFill {
    let device = DeviceMapper(name: facts.snapshot.deviceName)
    let line = try device.exists() ? device.status().first : nil
    return SnapshotFill(
      origin: facts.origin, snapshot: facts.snapshot,
      thin: line?.target == "thin" ? line?.parameters : nil, pool: try? pool.status())
  }
}
