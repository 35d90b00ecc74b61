import StillModel
import StillSystem
import SystemPackage

/// A classic LVM snapshot of one origin on its way through the freeze.
///
/// LVM makes it the usual way, at a moment of its own. `disarm` then takes that moment away again
/// without touching LVM's metadata: an `error` table destroys the kernel's exception store, zeros
/// over the store's header make it a new, empty one, and the snapshot's own table, loaded again,
/// waits in the inactive slot. Whoever resumes the device makes the snapshot begin there and then
/// (drivers/md/dm-snap.c: the store is read when a table is loaded, copying begins at resume).
struct ClassicSnapshot {
  private(set) var facts: SnapshotFacts
  /// The kernel's name of the origin's file system.
  let fileSystem: String
  /// Where the origin is mounted.
  let mountPoint: FilePath

  /// The device that a resume makes begin.
  var device: DeviceMapper { DeviceMapper(name: facts.snapshot.deviceName) }

  /// `origin_still_RUN`; a long origin's name is cut so that LVM accepts it.
  static func name(of origin: VolumeName, run: RunID) -> VolumeName {
    let suffix = suffix(of: run)
    // device-mapper's names have 127 bytes, in which each hyphen counts twice.
    var stem = origin.volume
    var name = VolumeName(group: origin.group, volume: stem + suffix)
    while name.deviceName.utf8.count > 127 - "-cow".utf8.count, stem.utf8.count > 8 {
      stem.removeLast()
      name = VolumeName(group: origin.group, volume: stem + suffix)
    }
    return name
  }

  static func suffix(of run: RunID) -> String { "_still_\(run)" }

  static func create(
    _ request: SnapshotRequest, run: RunID, mount: MountTable.Entry, lvm: LVM
  ) throws -> ClassicSnapshot {
    let name = name(of: request.origin, run: run)
    do {
      try lvm.run([
        "lvcreate", "--snapshot", "--yes", "--size", "\(request.size)b", "--permission", "rw",
        "--addtag", RunTag.ours, "--addtag", RunTag.of(run), "--addtag", RunTag.host, "--name",
        name.volume,
        request.origin.description,
      ])
    } catch var failure as StillError where failure.message.contains("insufficient free space") {
      // There was enough when the backup was planned.
      failure.status = .precondition
      failure.hint =
        "Somebody else took room in volume group \(request.origin.group); run again, or "
        + "use a smaller --snapshot-size."
      throw failure
    }
    // LVM makes a store smaller than asked when a smaller one can hold the whole origin.
    let size = try lvm.volumes([name.description]).first { $0.name == name }.map { _ in
      try COWStore(of: name).size
    }
    guard let size else {
      throw StillError(.volumes, "snapshot \(name) is not there after its creation")
    }
    return ClassicSnapshot(
      facts: SnapshotFacts(origin: request.origin, snapshot: name, size: size),
      fileSystem: mount.kind, mountPoint: mount.mountPoint)
  }

  /// Makes the snapshot wait, empty, for its resume.
  func disarm() throws {
    let store = try COWStore(of: facts.snapshot)
    try device.load(
      DeviceMapper.Line(start: 0, length: store.table.length, target: "error", parameters: ""))
    try device.resume()
    try store.erase()
    try device.load(store.table)
  }

  /// Whether it still waits as `disarm` left it.
  func isDisarmed() throws -> Bool { try device.table().map(\.target) == ["error"] }

  /// Makes the store larger while it is in use; see `SnapshotProvider.extend`.
  mutating func extend(to size: UInt64, lvm: LVM) throws {
    do {
      try lvm.run(["lvextend", "--yes", "--size", "\(size)b", facts.snapshot.description])
    } catch var failure as StillError where failure.message.contains("nsufficient free space") {
      failure.status = .precondition
      throw failure
    }
    facts.size = try COWStore(of: facts.snapshot).size
  }

  func fill() throws -> SnapshotFill { try ClassicSnapshot.fill(facts) }

  static func fill(_ facts: SnapshotFacts) throws -> SnapshotFill {
    let line = try DeviceMapper(name: facts.snapshot.deviceName).status().first
    return SnapshotFill(
      origin: facts.origin, snapshot: facts.snapshot,
      status: line?.target == "snapshot" ? line?.parameters ?? "" : line?.target ?? "")
  }

  /// Mounts the snapshot nowhere and opens its root.
  func open() throws -> OpenFolder {
    // A plain read-only mount, never `noload` or `norecovery`: where a file system needs recovery
    // that it cannot have, the freeze did not happen, and files would be missing in silence.
    do {
      return try OpenFolder.mountDetached(
        kind: fileSystem, device: FilePath("/dev/mapper/\(facts.snapshot.deviceName)"),
        ignoresUUID: fileSystem == "xfs")
    } catch var failure as StillError {
      failure.status = .volumes
      failure.hint = "The kernel's log (dmesg) says more; nothing was published."
      throw failure
    }
  }
}
