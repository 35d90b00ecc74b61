import CFreeze
import StillModel
import StillSystem
import SystemPackage

/// An LVM snapshot of one origin on its way through the freeze: LVM makes it at a moment of its own,
/// it is disarmed, it begins inside the window, and is then settled.
protocol FreezableSnapshot {
  var facts: SnapshotFacts { get }
  /// Where the origin's file system is mounted.
  var mount: MountTable.Entry { get }

  /// Takes away the moment that LVM gave it: the snapshot waits, empty.
  mutating func disarm() throws

  /// Whether it still waits as `disarm` left it.
  func isDisarmed() throws -> Bool

  /// - Throws: `.volumes` where changes of the origin do not go through its snapshots.
  func requireCopyingOrigin() throws

  /// Adds to the window the one call that makes it begin. False where there is no room for it.
  func addTake(to window: UnsafeMutablePointer<freeze_window>) -> Bool

  /// After the window: makes its device, where it has none yet.
  func settle(with lvm: LVM) throws

  /// Undoes `settle`.
  func unsettle(with lvm: LVM) throws

  /// See `SnapshotProvider.extend`.
  mutating func extend(to size: UInt64, with lvm: LVM) throws

  /// - Throws: `.volumes` as `requireCopyingOrigin` does, too.
  func fill() throws -> SnapshotFill

  /// The chunks of the origin that were written since it was frozen, read for so many seconds at most; nil
  /// where nobody keeps a list.
  mutating func overwritten(within seconds: Double) throws -> ExceptionTable.State?

  /// Gives its room back at once, even while it is mounted; nobody can read it any more.
  func giveUp() throws
}

extension FreezableSnapshot {
  var device: DeviceMapper { DeviceMapper(name: facts.snapshot.deviceName) }

  /// Mounts the snapshot nowhere and opens its root.
  func open() throws -> OpenFolder {
    // A plain read-only mount, never `noload` or `norecovery`: where a file system needs recovery
    // that it cannot have, the freeze did not happen, and files would be missing in silence.
    do {
      return try OpenFolder.mountDetached(
        kind: mount.kind, device: FilePath("/dev/mapper/\(facts.snapshot.deviceName)"),
        ignoresUUID: mount.kind == "xfs")
    } catch var failure as StillError {
      failure.status = .volumes
      failure.hint = "The kernel's log (dmesg) says more; nothing was published."
      throw failure
    }
  }
}

/// How snapshots are called and made, of whatever kind.
enum SnapshotName {
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

  /// The words of `lvcreate` for a snapshot of this run; those of its kind stand between.
  static func creation(_ name: VolumeName, of origin: VolumeName, run: RunID, _ words: [String])
    -> [String]
  {
    ["lvcreate", "--snapshot", "--yes", "--permission", "rw"] + words + [
      "--addtag", RunTag.ours, "--addtag", RunTag.of(run), "--addtag", RunTag.host, "--name",
      name.volume, origin.description,
    ]
  }
}
