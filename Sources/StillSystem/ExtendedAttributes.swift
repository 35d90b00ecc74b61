import CACL
import Glibc
import StillModel

/// One extended attribute (xattr(7)). Names are text for the kernel, values are any bytes.
public struct ExtendedAttribute: Hashable, Sendable {
  /// With its class: `user.comment`.
  public var name: [UInt8]
  public var value: [UInt8]

  public init(name: [UInt8], value: [UInt8]) {
    self.name = name
    self.value = value
  }
}

/// What a file or folder has beside its content and mode bits.
public struct VisibleAttributes: Hashable, Sendable {
  /// POSIX ACLs apart, in the order of their names.
  public var attributes: [ExtendedAttribute] = []
  /// Whether it has an ACL that says more than its mode (`AccessLists.access`). The kernel lists it like
  /// an attribute, so that most files need not be asked.
  public var hasAccessList = false
  /// The same of what new files in a folder inherit.
  public var hasInheritedAccessList = false
}

extension OpenFile {
  public func visibleAttributes() throws -> VisibleAttributes {
    try readAttributes(descriptor, shown: path.string)
  }

  /// All extended attributes that can be seen, POSIX ACLs apart, in the order of their names.
  public func extendedAttributes() throws -> [ExtendedAttribute] {
    try visibleAttributes().attributes
  }

  public func setExtendedAttribute(_ attribute: ExtendedAttribute) throws {
    try writeAttribute(attribute, descriptor, shown: path.string)
  }
}

extension OpenFolder {
  public func visibleAttributes() throws -> VisibleAttributes {
    try readAttributes(descriptor, shown: path.string)
  }

  /// All extended attributes that can be seen, POSIX ACLs apart, in the order of their names.
  public func extendedAttributes() throws -> [ExtendedAttribute] {
    try visibleAttributes().attributes
  }

  public func setExtendedAttribute(_ attribute: ExtendedAttribute) throws {
    try writeAttribute(attribute, descriptor, shown: path.string)
  }
}

/// How the kernel shows POSIX ACLs; they travel as text of their own, see `AccessLists`.
private let accessListPrefix = Array("system.posix_acl_".utf8)
private let inheritedAccessList = Array("system.posix_acl_default".utf8)

private func readAttributes(_ descriptor: Int32, shown: String) throws -> VisibleAttributes {
  let list = try growing(shown, "list the attributes of") { flistxattr(descriptor, $0, $1) }
  var found = VisibleAttributes()
  for name in list.split(separator: 0) {
    if name.starts(with: accessListPrefix) {
      let isInherited = name.elementsEqual(inheritedAccessList)
      if isInherited { found.hasInheritedAccessList = true } else { found.hasAccessList = true }
      continue
    }
    let terminated = name.map { CChar(bitPattern: $0) } + [0]
    let value = try growing(shown, "read an attribute of") {
      fgetxattr(descriptor, terminated, $0, $1)
    }
    found.attributes.append(ExtendedAttribute(name: Array(name), value: value))
  }
  found.attributes.sort { $0.name.lexicographicallyPrecedes($1.name) }
  return found
}

private func writeAttribute(
  _ attribute: ExtendedAttribute, _ descriptor: Int32, shown: String
) throws {
  let name = attribute.name.map { CChar(bitPattern: $0) } + [0]
  let action = "set the attribute \(String(decoding: attribute.name, as: UTF8.self)) of"
  _ = try check(action, shown) {
    fsetxattr(descriptor, name, attribute.value, attribute.value.count, 0)
  }
}

/// Asks for a value's size first and then for the value, again if it grew in between. A file system
/// without extended attributes has none.
private func growing(
  _ shown: String, _ action: String, _ call: (UnsafeMutableRawPointer?, Int) -> Int
) throws -> [UInt8] {
  while true {
    let size = call(nil, 0)
    if size < 0, errno == ENOTSUP { return [] }
    if size == 0 { return [] }
    if size < 0 { throw StillError.system(action, shown, errno) }
    var got = 0
    var code: Int32 = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
      got = call(buffer.baseAddress, size)
      code = got < 0 ? errno : 0
      count = max(0, got)
    }
    if got >= 0 { return bytes }
    if code != ERANGE { throw StillError.system(action, shown, code) }
  }
}
