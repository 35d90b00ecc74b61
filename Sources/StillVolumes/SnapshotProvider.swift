import StillModel
import StillSystem

/// Whoever can freeze logical volumes together: the broker, or a fake of it in tests. One set per
/// value, and the calls in this order.
public protocol SnapshotProvider: Sendable {
  /// What LVM knows of these volumes, in the same order; changes nothing.
  ///
  /// - Throws: `.volumes` where LVM fails or does not know one of them.
  func survey(_ volumes: [VolumeName]) throws -> [VolumeFacts]

  /// The set that is prepared next gives way: when somebody wants to copy one of its volumes, `freeze` and `fill`
  /// throw `.busy`, and its caller is to release it.
  func giveWay() throws

  /// Has every set that gives way let go of these volumes, and waits until they have.
  ///
  /// - Parameter folders: as of `prepare`.
  /// - Returns: the runs that did.
  /// - Throws: `.busy` where one does not within a minute; `.precondition` where a folder is not on its
  ///   volume.
  func makeWay(for volumes: [VolumeName], folders: [OpenFolder]) throws -> [RunID]

  /// Has sets that give way let go, removes what earlier runs that died have left, then makes a snapshot of each origin, ready but
  /// showing nothing yet.
  ///
  /// - Parameter folders: for each request an open folder on that volume's file system which belongs
  ///   to the coordinator's user: who has none there has no business with the volume.
  /// - Throws: `.precondition` where there is no room for one, or no such folder; `.volumes` where
  ///   LVM fails. Then nothing that it made is left.
  func prepare(
    _ run: RunID, _ requests: [SnapshotRequest], folders: [OpenFolder]
  ) throws -> [SnapshotFacts]

  /// The freeze window: from here on every snapshot shows the same instant.
  ///
  /// - Throws: where the set is not of one instant, whatever the reason; every origin runs on.
  func freeze(deadline: Double) throws -> FreezeReport

  /// The root folder of each frozen file system, read-only, in the order of the requests. It stays
  /// mounted until the last folder or file opened from it is closed.
  func open() throws -> [OpenFolder]

  /// How full each snapshot is now.
  func fill() throws -> [SnapshotFill]

  /// Which chunks of each origin were written since the freeze; nil for those of which nobody keeps a
  /// list: thin ones, and such that it would be too long. The more was written since the last time, the
  /// longer it takes.
  ///
  /// - Throws: `.overflow` where a snapshot is no longer valid; `.volumes` where nothing is frozen.
  func overwritten() throws -> [OverwrittenChunks?]

  /// Makes the COW store of this origin's snapshot larger while it is in use, to `size` bytes in
  /// whole extents, and never beyond what could hold the whole origin. One that is that large
  /// already stays as it is.
  ///
  /// - Returns: the facts with the size that it really has now.
  /// - Throws: `.precondition` where the volume group has no room for it; `.volumes` where nothing
  ///   is frozen, or the snapshot is thin, or LVM fails. The snapshot is valid as before then.
  func extend(_ origin: VolumeName, to size: UInt64) throws -> SnapshotFacts

  /// Removes the snapshots of this run; each is tried, whatever happened to the one before.
  func release() throws -> ReleaseReport

  /// Removes the snapshots of every run that has died, of this cluster or another.
  func sweep() throws -> ReleaseReport

  /// What every run of this host holds now or has left, the oldest first; changes nothing.
  func held() throws -> [HeldSet]

  /// Stops and starts units of systemd; nil where nobody can.
  var units: (any ServiceUnits)? { get }
}

extension SnapshotProvider {
  public var units: (any ServiceUnits)? { nil }
}
