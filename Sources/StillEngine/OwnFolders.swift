import StillModel
import StillSystem
import SystemPackage

extension LiveCluster {
  /// Looks for links in the place of the server's own folders before anything is frozen or stopped. In
  /// the place of single files the copy finds them.
  ///
  /// - Throws: `.precondition` with the first one.
  func requireOwnFolders() throws {
    let root = directory.folder
    for name in ServerFolders.names.sorted(by: { $0.string < $1.string }) {
      try requireNoLink(name, in: root)
      guard try root.metadataIfPresent(of: name)?.kind == .folder else { continue }
      for child in try root.folder(name).names() {
        try requireNoLink(name.appending(child.components), in: root)
      }
    }
  }

  private func requireNoLink(_ path: FilePath, in root: OpenFolder) throws {
    guard try root.metadataIfPresent(of: path)?.kind == .link, ServerFolders.own(linkAt: path)
    else {
      return
    }
    throw ServerFolders.refusal(of: path, in: root.path)
  }
}
