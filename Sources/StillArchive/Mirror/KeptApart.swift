import StillModel
import StillSystem
import SystemPackage

extension TarMember {
  /// What of this the inode that was made of it has not; nil where it has all.
  ///
  /// - Parameters:
  ///   - path: counted from the backup's folder.
  ///   - hasAttributes: whether it took all attributes and ACLs.
  func apart(
    at path: FilePath, from inode: FileMetadata, hasAttributes: Bool, _ names: AccountNames
  ) -> BackupRecord.Mirror.Apart? {
    let isLink = if case .link = kind { true } else { false }
    guard
      !hasAttributes || owner != inode.owner || group != inode.group
        || mode != inode.mode && !isLink
    else { return nil }
    let attributes: [BackupRecord.Mirror.Apart.Attribute] =
      hasAttributes
      ? []
      : attributes.compactMap { attribute in
        String(validating: attribute.name, as: UTF8.self).map {
          .init(name: $0, value: attribute.value)
        }
      }
    func text(_ name: [UInt8]) -> String? {
      name.isEmpty ? nil : String(validating: name, as: UTF8.self)
    }
    return .init(
      path: RecordedPath(path), mode: mode, owner: owner, group: group,
      ownerName: text(names.user(owner)), groupName: text(names.group(group)),
      accessList: hasAttributes ? nil : accessList,
      inheritedAccessList: hasAttributes ? nil : inheritedAccessList, attributes: attributes)
  }

  /// Takes over what its inode in the mirror has not.
  mutating func take(_ apart: BackupRecord.Mirror.Apart) {
    (mode, owner, group) = (apart.mode, apart.owner, apart.group)
    ownerName = apart.ownerName.map { Array($0.utf8) } ?? []
    groupName = apart.groupName.map { Array($0.utf8) } ?? []
    if let list = apart.accessList { accessList = list }
    if let list = apart.inheritedAccessList { inheritedAccessList = list }
    for attribute in apart.attributes {
      let name = Array(attribute.name.utf8)
      attributes.removeAll { $0.name == name }
      attributes.append(ExtendedAttribute(name: name, value: attribute.value))
    }
  }
}
