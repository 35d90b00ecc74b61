import StillModel
import StillSystem

/// Who may have which volume frozen: the user that a broker serves has to hold out an open folder of
/// his own on it. So the leave to start the broker is no leave to stop other people's disks.
struct VolumeClaim {
  /// nil where nobody is known; then nothing may be frozen.
  let owner: UInt32?
  let mounts: MountTable

  /// The mounts of these volumes' file systems.
  ///
  /// - Parameter folders: one for each volume, in the same order.
  /// - Throws: `.precondition` where a folder is not on its volume, or not the owner's.
  func mounts(
    of volumes: [VolumeName], _ folders: [OpenFolder]
  ) throws -> [MountTable.Entry] {
    guard folders.count == volumes.count else {
      throw StillError(.failed, "\(folders.count) folders came for \(volumes.count) volumes")
    }
    return try zip(volumes, folders).map { volume, folder in
      let metadata = try folder.metadata()
      // Root is no user to serve: everybody's volumes hold folders of root's.
      guard metadata.kind == .folder, let owner, owner != 0, metadata.owner == owner,
        BlockDevices.carrier(of: metadata.device) == .logicalVolume(volume)
      else {
        throw StillError(
          .precondition, "volume \(volume) holds no folder of yours",
          hint: "Only volumes that hold folders of the cluster's owner are ever frozen.")
      }
      guard let mount = mounts.entry(of: metadata.device) else {
        throw StillError(
          .precondition, "the file system of volume \(volume) is not mounted here",
          hint: "Run pgstill in the same mount namespace as the server.")
      }
      return mount
    }
  }
}
