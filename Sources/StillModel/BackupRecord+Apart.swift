extension BackupRecord.Mirror {
  /// What a file, folder or link of a mirror has, and could not be given there: its owner by a process
  /// that is not root, an ACL or a mode by a file system that knows of none. A restore gives it that.
  public struct Apart: Hashable, Sendable, Codable {
    public struct Attribute: Hashable, Sendable, Codable {
      /// With its class: `user.comment`.
      public var name: String
      public var value: [UInt8]

      public init(name: String, value: [UInt8]) {
        self.name = name
        self.value = value
      }
    }

    /// Counted from the backup's folder.
    public var path: RecordedPath
    /// Permission bits with set-user-id, set-group-id and sticky.
    public var mode: UInt32
    public var owner: UInt32
    public var group: UInt32
    /// Nil where the owner has no name, or none that is UTF-8.
    public var ownerName: String?
    public var groupName: String?
    /// As getfacl(1) writes them without comments.
    public var accessList: String?
    public var inheritedAccessList: String?
    public var attributes: [Attribute]

    public init(
      path: RecordedPath, mode: UInt32, owner: UInt32, group: UInt32, ownerName: String?,
      groupName: String?, accessList: String?, inheritedAccessList: String?,
      attributes: [Attribute]
    ) {
      self.path = path
      self.mode = mode
      self.owner = owner
      self.group = group
      self.ownerName = ownerName
      self.groupName = groupName
      self.accessList = accessList
      self.inheritedAccessList = inheritedAccessList
      self.attributes = attributes
    }

    /// What it has: `root:postgres 0640, ACL, user.note`.
    public var text: String {
      let bits = String(mode, radix: 8)
      let mode = String(repeating: "0", count: max(0, 4 - bits.count)) + bits
      let more = (accessList == nil ? "" : ", ACL") + attributes.map { ", \($0.name)" }.joined()
      return "\(ownerName ?? "\(owner)"):\(groupName ?? "\(group)") \(mode)\(more)"
    }
  }

  /// A record names no more of them: on a file system without owners it would be every file.
  public static let mostApart = 10_000
}
