import StillModel
import StillSystem
import SystemPackage

/// Where a scratch server has its socket: a folder that nobody else may enter. Beside the server's other
/// files, where the path is short enough for a socket; else below /tmp, with a link that leads there.
enum SocketFolder {
  private static let name: FilePath = "s"
  private static let elsewhere: FilePath = "/tmp"
  private static let prefix = "pgstill-proof-"
  /// What a path to a socket may have (`sockaddr_un`), less the name that the server gives it.
  private static let longest = 107 - "/.s.PGSQL.5432".utf8.count

  static func make(in place: OpenFolder) throws -> FilePath {
    let near = place.path.appending(name.components)
    if near.string.utf8.count <= longest {
      try place.makeFolder(name, permissions: 0o700)
      return near
    }
    let far = FilePath(prefix + String(UInt64.random(in: 0...UInt64.max), radix: 36))
    let path = elsewhere.appending(far.components)
    // First the link: whoever clears up finds what it leads to.
    try place.makeLink(name, to: path.bytes)
    try OpenFolder.open(elsewhere).makeFolder(far, permissions: 0o700)
    return path
  }

  /// Removes the one that is not in its place.
  static func remove(of place: OpenFolder) throws {
    guard try place.metadataIfPresent(of: name)?.kind == .link else { return }
    let path = FilePath(bytes: try place.target(ofLink: name))
    guard path.removingLastComponent() == elsewhere, let last = path.lastComponent,
      last.string.hasPrefix(prefix)
    else { return }
    let parent = try OpenFolder.open(elsewhere)
    let folder = FilePath(root: nil, [last])
    guard let found = try parent.metadataIfPresent(of: folder), found.kind == .folder,
      found.owner == Account.effectiveUser
    else { return }
    try parent.removeTree(folder)
  }
}
