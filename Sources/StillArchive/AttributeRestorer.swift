import StillModel
import StillSystem
import SystemPackage

/// Gives unpacked files, folders and links what their members say of them.
///
/// The order matters: a change of owner clears set-user-id bits, a mode set after an ACL changes its
/// mask, and everything but the owner changes no time of modification, which comes last all the same.
struct AttributeRestorer {
  let names: AccountNames

  func restore(_ member: TarMember, _ file: OpenFile, _ summary: inout UnpackSummary) throws {
    try restoreOwner(member, try file.metadata(), &summary) {
      try file.setOwner(user: $0, group: $1)
    }
    try file.setPermissions(member.mode)
    let shown = file.path.string
    if let list = member.accessList {
      try AccessLists.setAccess(list, of: file.descriptor, shown: shown)
    }
    try restoreAttributes(member, shown, &summary) { try file.setExtendedAttribute($0) }
    try file.setModified(
      seconds: member.modifiedSeconds, nanoseconds: member.modifiedNanoseconds)
  }

  func restore(_ member: TarMember, _ folder: OpenFolder, _ summary: inout UnpackSummary) throws {
    try restoreOwner(member, try folder.metadata(), &summary) {
      try folder.setOwner(user: $0, group: $1)
    }
    try folder.setPermissions(member.mode)
    let shown = folder.path.string
    if let list = member.accessList {
      try AccessLists.setAccess(list, of: folder.descriptor, shown: shown)
    }
    if let list = member.inheritedAccessList {
      try AccessLists.setInherited(list, of: folder.descriptor, shown: shown)
    }
    try restoreAttributes(member, shown, &summary) { try folder.setExtendedAttribute($0) }
    try folder.setModified(
      seconds: member.modifiedSeconds, nanoseconds: member.modifiedNanoseconds)
  }

  /// Links have neither mode nor ACL.
  func restoreLink(
    _ member: TarMember, _ name: FilePath, in folder: OpenFolder, _ summary: inout UnpackSummary
  ) throws {
    try restoreOwner(member, try folder.metadata(of: name), &summary) {
      try folder.setOwner(name, user: $0, group: $1)
    }
    try folder.setModified(
      name, seconds: member.modifiedSeconds, nanoseconds: member.modifiedNanoseconds)
  }

  /// Who may not give files away keeps them, and that is counted; root's failure is one.
  private func restoreOwner(
    _ member: TarMember, _ now: FileMetadata, _ summary: inout UnpackSummary,
    _ set: (UInt32, UInt32) throws -> Void
  ) throws {
    let owner = names.user(named: member.ownerName) ?? member.owner
    let group = names.group(named: member.groupName) ?? member.group
    guard owner != now.owner || group != now.group else { return }
    do {
      try set(owner, group)
    } catch {
      if ProcessIdentity.isRoot { throw error }
      summary.ownersNotKept += 1
    }
  }

  private func restoreAttributes(
    _ member: TarMember, _ shown: String, _ summary: inout UnpackSummary,
    _ set: (ExtendedAttribute) throws -> Void
  ) throws {
    for attribute in member.attributes {
      do {
        try set(attribute)
      } catch {
        if attribute.isUserClass || ProcessIdentity.isRoot { throw error }
        let name = String(decoding: attribute.name, as: UTF8.self)
        summary.attributesNotKept.append("\(name) on \(shown)")
      }
    }
  }
}
