import StillModel

/// Why a volume cannot be snapshotted by us, and what to do about it.
struct SnapshotObstacle: Equatable {
  let reason: String
  let remedy: String
  /// Whether it is in the kind of the volume, and no room, no time and no command takes it away.
  var isLasting = false

  /// A pool that is fuller than this, of data or of metadata, takes no snapshot: from then on each
  /// write to the origin takes room, and a pool that runs out stops the live server too.
  static let fullestPool = 0.8

  /// The types of segments that a freeze was tried on. LVM makes classic snapshots of others too, and
  /// nobody has shown that such a set is of one instant.
  static let triedTypes = ["linear", "striped", "thin"]

  /// By the characters of `lv_attr` (lvs(8)) and the type of its segments.
  ///
  /// - Parameter hasSnapshotTarget: whether the kernel can make classic snapshots.
  static func of(
    _ volume: LVMVolume, pool: ThinPoolStatus?, hasSnapshotTarget: Bool = true
  ) -> SnapshotObstacle? {
    let marks = Array(volume.attributes)
    guard marks.count >= 5 else {
      return SnapshotObstacle(
        reason: "LVM does not say what it is", remedy: "Look at it: lvs -a \(volume.name)")
    }
    // Suspended ("s") is active too: another run is inside its freeze window, or LVM at work.
    if marks[4] != "a", marks[4] != "s" {
      return SnapshotObstacle(
        reason: "it is not active", remedy: "Activate it: lvchange -ay \(volume.name)")
    }
    switch marks[0] {
    case "s", "S":
      return SnapshotObstacle(
        reason: "it is a snapshot itself",
        remedy: "Run the cluster on an ordinary volume, or use --consistency online.",
        isLasting: true)
    case "O":
      return SnapshotObstacle(
        reason: "a snapshot is being merged into it",
        remedy: "Wait for the merge to end (lvs -o name,data_percent); it is then an ordinary "
          + "volume again.")
    case "t", "T", "d", "D", "e", "p", "v":
      return SnapshotObstacle(
        reason: "it is a part of another volume",
        remedy: "Name the volume that holds the file system.")
    default: break
    }
    guard triedTypes.contains(volume.segmentType) else {
      return of(type: volume.segmentType, volume)
    }
    guard volume.kind == .thin else {
      return hasSnapshotTarget
        ? nil
        : SnapshotObstacle(
          reason: "the kernel has no snapshot target",
          remedy: "Load it: modprobe dm_snapshot; or install the kernel's package of modules.")
    }
    return marks[0] == "o"
      ? SnapshotObstacle(
        reason: "it is a thin volume that has classic snapshots",
        remedy: "Remove those snapshots (lvs -S origin=\(volume.name.volume) shows them), or use "
          + "--consistency online.") : of(pool, volume.poolName ?? volume.name)
  }

  private static func of(type: String, _ volume: LVMVolume) -> SnapshotObstacle {
    let online = "or use --consistency online."
    let (words, remedy) =
      switch type {
      case "mirror",
        _ where type.hasPrefix("raid"):
        ("a RAID volume of LVM's", "Put RAID below LVM, as physical volumes, \(online)")
      case "cache", "writecache":
        ("a cached volume", "Take the cache off: lvconvert --uncache \(volume.name); \(online)")
      case "vdo":
        ("a VDO volume", "Move the file system to an ordinary volume, \(online)")
      default:
        ("of a type that is not known", "Move the file system to an ordinary volume, \(online)")
      }
    return SnapshotObstacle(
      reason: "it is \(words) (\(type)), which was never tried", remedy: remedy, isLasting: true)
  }

  private static func of(_ pool: ThinPoolStatus?, _ name: VolumeName) -> SnapshotObstacle? {
    guard let pool else {
      return SnapshotObstacle(
        reason: "its pool \(name) does not answer", remedy: "Look at it: dmsetup status")
    }
    if let trouble = pool.trouble {
      return SnapshotObstacle(
        reason: "of its pool \(name), \(trouble)",
        remedy: "See lvmthin(7), and make it whole before anything else.")
    }
    func percent(_ share: Double) -> String { "\(Int((share * 100).rounded())) %" }
    let limit = "the limit is \(percent(fullestPool))"
    if pool.dataShare > fullestPool {
      return SnapshotObstacle(
        reason: "its pool \(name) is \(percent(pool.dataShare)) full, "
          + "\(ByteCount.text(pool.usedData)) of \(ByteCount.text(pool.data)); \(limit)",
        remedy: "Extend it: lvextend --size +SIZE \(name)")
    }
    if pool.metadataShare > fullestPool {
      return SnapshotObstacle(
        reason:
          "its pool \(name) has used \(percent(pool.metadataShare)) of its metadata; \(limit)",
        remedy: "Extend that: lvextend --poolmetadatasize +SIZE \(name)")
    }
    return nil
  }
}
