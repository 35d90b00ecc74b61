import CStill
import Glibc
import StillModel
import SystemPackage

/// What tells a file or folder from every other one, whatever paths lead to it.
public struct FileIdentity: Hashable, Sendable {
  public var device: DeviceNumber
  public var inode: UInt64
}

/// What the file system says of one name, the link itself where it is one.
public struct FileMetadata: Hashable, Sendable {
  public enum Kind: Hashable, Sendable { case file, folder, link, other }

  public var kind: Kind
  /// In bytes.
  public var size: UInt64
  /// What it takes on the disk, in bytes; less than its size where it has holes.
  public var allocated: UInt64
  /// Permission bits with set-user-id, set-group-id and sticky.
  public var mode: UInt32
  public var owner: UInt32
  public var group: UInt32
  public var modifiedSeconds: Int64
  public var modifiedNanoseconds: Int64
  /// When anything about it changed last, by the kernel's own clock: nobody can set it. In nanoseconds
  /// since 1970.
  public var changed: Int64
  public var device: DeviceNumber
  public var inode: UInt64
  public var linkCount: UInt64

  /// What is at a path, the link itself where it is one; nil where nothing is.
  ///
  /// - Throws: where nobody may look.
  public static func ifPresent(at path: FilePath) throws -> FileMetadata? {
    var status = stat()
    let code = path.withPlatformString { lstat($0, &status) == 0 ? 0 : errno }
    switch code {
    case 0: return FileMetadata(status)
    case ENOENT, ENOTDIR: return nil
    default: throw StillError.system("examine", path.string, code)
    }
  }

  public var identity: FileIdentity { FileIdentity(device: device, inode: inode) }

  init(_ status: stat) {
    kind =
      switch status.st_mode & S_IFMT {
      case S_IFREG: .file
      case S_IFDIR: .folder
      case S_IFLNK: .link
      default: .other
      }
    size = UInt64(max(0, status.st_size))
    // In units of 512 bytes, whatever the file system's own blocks are (stat(2)).
    allocated = UInt64(max(0, status.st_blocks)) * 512
    mode = status.st_mode & 0o7777
    owner = status.st_uid
    group = status.st_gid
    modifiedSeconds = Int64(status.st_mtim.tv_sec)
    modifiedNanoseconds = Int64(status.st_mtim.tv_nsec)
    changed = Int64(status.st_ctim.tv_sec) * 1_000_000_000 + Int64(status.st_ctim.tv_nsec)
    device = DeviceNumber(major: still_major(status.st_dev), minor: still_minor(status.st_dev))
    inode = UInt64(status.st_ino)
    linkCount = UInt64(status.st_nlink)
  }
}
