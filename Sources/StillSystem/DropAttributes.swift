import CACL
import Glibc
import StillModel

extension OpenFolder {
  /// Removes ACLs and users' extended attributes, what new files would inherit included.
  public func dropAttributes() throws {
    let own = try extendedAttributes().map(\.name).filter { $0.starts(with: userPrefix) }
    for name in own + accessListNames.map({ Array($0.utf8) }) {
      let terminated = name.map { CChar(bitPattern: $0) } + [0]
      guard fremovexattr(descriptor, terminated) != 0 else { continue }
      let code = errno
      if code == ENODATA || code == ENOTSUP { continue }
      throw StillError.system("remove an attribute of", path.string, code)
    }
  }
}

extension OpenFile {
  /// Whether it has an ACL, or extended attributes that a user gave it.
  public func hasAttributes() throws -> Bool {
    try extendedAttributes().contains { $0.name.starts(with: userPrefix) }
      || AccessLists.access(of: descriptor, shown: path.string) != nil
  }
}

private let userPrefix = Array("user.".utf8)
private let accessListNames = ["system.posix_acl_access", "system.posix_acl_default"]
