import CFreeze
import StillModel
import StillSystem

/// A classic LVM snapshot of one origin on its way through the freeze.
///
/// LVM makes it the usual way, at a moment of its own. `disarm` then takes that moment away again
/// without touching LVM's metadata: an `error` table destroys the kernel's exception store, zeros
/// over the store's header make it a new, empty one, and the snapshot's own table, loaded again,
/// waits in the inactive slot. Whoever resumes the device makes the snapshot begin there and then
/// (drivers/md/dm-snap.c: the store is read when a table is loaded, copying begins at resume).
struct ClassicSnapshot: FreezableSnapshot {
  private(set) var facts: SnapshotFacts
  /// What was read of the store's table since the freeze.
  private var exceptions = ExceptionTable()
  let mount: MountTable.Entry

  static func create(
    _ request: SnapshotRequest, run: RunID, mount: MountTable.Entry, with lvm: LVM
  ) throws -> ClassicSnapshot {
    let name = SnapshotName.name(of: request.origin, run: run)
    do {
      try lvm.run(
        SnapshotName.creation(name, of: request.origin, run: run, ["--size", "\(request.size)b"]),
        suspending: CommandWatch.devices(of: request.origin, and: name))
    } catch var failure as StillError where failure.message.contains("insufficient free space") {
      // There was enough when the backup was planned.
      failure.status = .precondition
      failure.hint =
        "Somebody else took room in volume group \(request.origin.group); run again, or "
        + "use a smaller --snapshot-size."
      throw failure
    }
    // LVM makes a store smaller than asked when a smaller one can hold the whole origin.
    return ClassicSnapshot(
      facts: SnapshotFacts(
        origin: request.origin, snapshot: name, kind: .classic, size: try COWStore(of: name).size),
      mount: mount)
  }

  /// Makes the snapshot wait, empty, for its resume.
  mutating func disarm() throws {
    exceptions = ExceptionTable()
    let store = try COWStore(of: facts.snapshot)
    try device.load(
      DeviceMapper.Line(start: 0, length: store.table.length, target: "error", parameters: ""))
    try device.resume(isHidden: true)
    try store.erase()
    try device.load(store.table)
  }

  func isDisarmed() throws -> Bool {
    guard try device.table().map(\.target) == ["error"],
      // "USED/SIZE METADATA": an empty store holds nothing but its metadata.
      let waiting = try device.waitingStatus().first, waiting.target == "snapshot"
    else { return false }
    let words = waiting.parameters.split(separator: " ")
    return words.count == 2 && words[0].split(separator: "/").first == words[1]
  }

  /// An origin's table is LVM's `snapshot-origin` over its hidden device; under any other, what is
  /// written goes past the snapshots, which then show it.
  func requireCopyingOrigin() throws {
    let origin = DeviceMapper(name: facts.origin.deviceName)
    let lines = try origin.table()
    let hidden = try DeviceMapper(name: origin.name + "-real").number()
    guard lines.count == 1, let line = lines.first, line.target == "snapshot-origin",
      let hidden, DeviceNumber(line.parameters) == hidden
    else {
      throw StillError(
        .volumes,
        "origin \(facts.origin) does not copy what is overwritten into its snapshots: its table is "
          + lines.map(\.target).joined(separator: ", "),
        hint: "Somebody has put another table in its place (dmsetup table \(origin.name)). Nothing "
          + "was published; lvchange --refresh \(facts.origin) puts LVM's own back.")
    }
  }

  func addTake(to window: UnsafeMutablePointer<freeze_window>) -> Bool {
    freeze_add_resume(window, device.name) == 0
  }

  func settle(with lvm: LVM) throws {}

  func unsettle(with lvm: LVM) throws {}

  mutating func extend(to size: UInt64, with lvm: LVM) throws {
    do {
      try lvm.run(
        ["lvextend", "--yes", "--size", "\(size)b", facts.snapshot.description],
        suspending: CommandWatch.devices(of: facts.origin, and: facts.snapshot))
    } catch var failure as StillError where failure.message.contains("nsufficient free space") {
      failure.status = .precondition
      throw failure
    }
    facts.size = try COWStore(of: facts.snapshot).size
  }

  func fill() throws -> SnapshotFill {
    try requireCopyingOrigin()
    return try ClassicSnapshot.fill(facts)
  }

  mutating func overwritten(within seconds: Double) throws -> ExceptionTable.State? {
    try requireCopyingOrigin()
    // Its size may be another one since the last time.
    return try exceptions.read(from: COWStore(of: facts.snapshot), within: seconds)
  }

  /// What fills its own store hurts nobody.
  func giveUp() {}

  static func fill(_ facts: SnapshotFacts) throws -> SnapshotFill {
    let line = try DeviceMapper(name: facts.snapshot.deviceName).status().first
    return SnapshotFill(
      origin: facts.origin, snapshot: facts.snapshot,
      status: line?.target == "snapshot" ? line?.parameters ?? "" : line?.target ?? "")
  }
}
