import StillModel
import StillSystem
import SystemPackage

/// The files of an archive that have further names, so that those are written as what they are.
///
/// After `pg_upgrade --link`, each file of a cluster has another name in the old one, which no
/// archive ever comes to; so what is remembered has a bound. Names of files beyond it become files
/// of their own.
struct LinkedFiles {
  struct Identity: Hashable {
    fileprivate var device: DeviceNumber
    fileprivate var inode: UInt64
  }

  struct First {
    /// In the archive.
    var path: FilePath
    var size: UInt64
    /// There when the file has come through.
    var checksum: Checksum?
  }

  /// Some 20 MiB of memory.
  private static let most = 1 << 16
  private var files: [Identity: First] = [:]

  /// nil for a file with one name.
  static func identity(_ metadata: FileMetadata) -> Identity? {
    metadata.linkCount > 1 ? Identity(device: metadata.device, inode: metadata.inode) : nil
  }

  /// The name that the file is in the archive under.
  func first(_ identity: Identity) -> First? { files[identity] }

  /// False where there is no room for it.
  mutating func remember(_ identity: Identity, _ path: FilePath, size: UInt64) -> Bool {
    guard files.count < LinkedFiles.most else { return false }
    files[identity] = First(path: path, size: size)
    return true
  }

  mutating func conclude(_ identity: Identity, _ checksum: Checksum) {
    files[identity]?.checksum = checksum
  }
}
