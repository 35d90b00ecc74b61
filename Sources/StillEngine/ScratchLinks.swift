import StillModel
import StillSystem
import SystemPackage

extension ScratchPlace {
  /// Makes sure that a server here finds no way to the files of another. It would not only read them:
  /// already at its start a server removes files and writes to them (ResetUnloggedRelations of
  /// src/backend/storage/file/reinit.c, then the replay of WAL).
  ///
  /// - Throws: `.precondition` with the first link that leads out.
  func requireClosed(_ restored: RestoreResult) throws {
    if let link = restored.linksNotMade.first {
      throw StillError(
        .precondition,
        "the backup has a link only in the place of \(link), and nothing of what it led to, so no "
          + "server can be started on it",
        hint: "Back up again: this pgstill says what to do about the link.")
    }
    let home = try path.resolved()
    let folders = [restored.plan.target] + restored.plan.tablespaces.map(\.new)
    for folder in folders {
      let root = try OpenFolder.open(FilePath(folder))
      try requireClosed(root, at: FilePath(""), isData: folder == restored.plan.target, home)
    }
  }

  private func requireClosed(
    _ folder: OpenFolder, at path: FilePath, isData: Bool, _ home: FilePath
  ) throws {
    for name in try folder.names() {
      let child = path.joining(name)
      switch try folder.metadata(of: name).kind {
      case .folder: try requireClosed(folder.folder(name), at: child, isData: isData, home)
      case .link where isData && Self.isOnlyRead(child): continue
      case .link:
        let link = folder.path.appending(name.components)
        // One that leads nowhere is one that a server makes a file with.
        if let end = try? link.resolved(), end.starts(with: home) { continue }
        let target = FilePath(bytes: try folder.target(ofLink: name))
        throw StillError(
          .precondition,
          "\(child) of the backup is a link to \(target), outside of the scratch place: a server "
            + "that is started here would write there",
          hint: "Restore it to another host, where nothing is at that path, and start it there.")
      default: continue
      }
    }
  }

  /// Keys, certificates and configuration, or a folder of somebody's that a server without a log
  /// collector never enters.
  private static func isOnlyRead(_ path: FilePath) -> Bool {
    guard path.components.count == 1, let name = path.lastComponent?.string else { return false }
    if ["pg_hba.conf", "pg_ident.conf", "pg_log"].contains(name) { return true }
    return !["base", "global"].contains(name) && !name.hasPrefix("pg_")
      && !name.hasPrefix("postmaster.")
  }
}
