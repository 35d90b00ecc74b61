import StillModel
import StillSystem
import SystemPackage

/// One member of a tar archive: everything about a file but its content.
public struct TarMember: Equatable, Sendable {
  public enum Kind: Equatable, Sendable {
    case file
    case folder
    /// A symbolic link and what it says, byte for byte.
    case link(target: [UInt8])
    /// Another name for the file that the archive has under this one.
    case hardLink(target: [UInt8])
    /// Devices, pipes and what tar programs have invented, by its type flag. Read, never written.
    case other(UInt8)
  }

  /// Relative and without `.` for what is written; whatever the archive says for what is read.
  public var path: FilePath
  public var kind: Kind
  /// Of the content, in bytes; 0 for all but files.
  public var size: UInt64 = 0
  /// Where the data is, for files with holes.
  public var sparse: SparseMap?
  /// Permission bits with set-user-id, set-group-id and sticky.
  public var mode: UInt32
  public var owner: UInt32 = 0
  public var group: UInt32 = 0
  /// Empty where it is not known.
  public var ownerName: [UInt8] = []
  public var groupName: [UInt8] = []
  /// Time of last change: seconds since 1970, rounded down, and the nanoseconds that are left.
  public var modifiedSeconds: Int64 = 0
  public var modifiedNanoseconds: Int64 = 0
  public var attributes: [ExtendedAttribute] = []
  /// POSIX ACLs in the form of `AccessLists`; nil where the mode says it all.
  public var accessList: String?
  public var inheritedAccessList: String?

  /// What of the content is in the archive, in bytes.
  var storedSize: UInt64 { sparse?.storedSize ?? size }

  public init(path: FilePath, kind: Kind, size: UInt64 = 0, mode: UInt32) {
    self.path = path
    self.kind = kind
    self.size = size
    self.mode = mode
  }

  /// A member with what the file system says of it. Names, attributes and ACLs are the caller's.
  public init(path: FilePath, kind: Kind, _ metadata: FileMetadata) {
    self.init(path: path, kind: kind, size: kind == .file ? metadata.size : 0, mode: metadata.mode)
    owner = metadata.owner
    group = metadata.group
    modifiedSeconds = metadata.modifiedSeconds
    modifiedNanoseconds = metadata.modifiedNanoseconds
  }
}
