import StillModel
import StillSystem
import SystemPackage

/// Gives unpacked files, folders and links what their members say of them.
///
/// The order matters: a change of owner clears set-user-id bits, a mode set after an ACL changes its
/// mask, and the time comes last because of what the others may do to it. What cannot be kept is
/// noted: a restored cluster with another owner is worth more than none.
struct AttributeRestorer: Sendable {
  let names: AccountNames

  func restore(_ member: TarMember, _ file: OpenFile, _ summary: inout UnpackSummary) throws {
    restoreOwner(member, try file.metadata(), &summary) {
      try file.setOwner(user: $0, group: $1)
    }
    try file.setPermissions(member.mode)
    let shown = file.path.string
    if let list = member.accessList {
      attempt(&summary) { try AccessLists.setAccess(list, of: file.descriptor, shown: shown) }
    }
    for attribute in member.attributes {
      attempt(&summary) { try file.setExtendedAttribute(attribute) }
    }
    try file.setModified(
      seconds: member.modifiedSeconds, nanoseconds: member.modifiedNanoseconds)
  }

  func restore(_ member: TarMember, _ folder: OpenFolder, _ summary: inout UnpackSummary) throws {
    restoreOwner(member, try folder.metadata(), &summary) {
      try folder.setOwner(user: $0, group: $1)
    }
    try folder.setPermissions(member.mode)
    let shown = folder.path.string
    if let list = member.accessList {
      attempt(&summary) { try AccessLists.setAccess(list, of: folder.descriptor, shown: shown) }
    }
    if let list = member.inheritedAccessList {
      attempt(&summary) { try AccessLists.setInherited(list, of: folder.descriptor, shown: shown) }
    }
    for attribute in member.attributes {
      attempt(&summary) { try folder.setExtendedAttribute(attribute) }
    }
    try folder.setModified(
      seconds: member.modifiedSeconds, nanoseconds: member.modifiedNanoseconds)
  }

  /// Links have neither mode nor ACL.
  func restoreLink(
    _ member: TarMember, _ name: FilePath, in folder: OpenFolder, _ summary: inout UnpackSummary
  ) throws {
    restoreOwner(member, try folder.metadata(of: name), &summary) {
      try folder.setOwner(name, user: $0, group: $1)
    }
    try folder.setModified(
      name, seconds: member.modifiedSeconds, nanoseconds: member.modifiedNanoseconds)
  }

  private func restoreOwner(
    _ member: TarMember, _ now: FileMetadata, _ summary: inout UnpackSummary,
    _ set: (UInt32, UInt32) throws -> Void
  ) {
    let owner = names.user(named: member.ownerName) ?? member.owner
    let group = names.group(named: member.groupName) ?? member.group
    guard owner != now.owner || group != now.group else { return }
    do { try set(owner, group) } catch { summary.ownersNotKept += 1 }
  }

  private func attempt(_ summary: inout UnpackSummary, _ set: () throws -> Void) {
    do {
      try set()
    } catch let error as StillError {
      summary.addAttributeNotKept(error.message)
    } catch {
      summary.addAttributeNotKept("\(error)")
    }
  }
}
