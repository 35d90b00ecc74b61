import StillModel
import StillSystem
import SystemPackage

/// Removes everything from an existing cluster's folders but the files that stay. Folders without such
/// a file go too: those of the backup are made again.
struct Cleaner {
  let good: GoodFiles
  /// Below the root: what is left alone, with everything in it.
  let spared: Set<FilePath>
  /// Below the root: folders that file systems are mounted on. They stay, whatever is in them.
  var mounts: Set<FilePath> = []
  let cancellation: Cancellation

  /// What was, or would be, removed.
  struct Count {
    var files: UInt64 = 0
    var bytes: UInt64 = 0
  }

  /// Changes nothing.
  ///
  /// - Throws: `.precondition` where a folder belongs to somebody else, who alone may empty it.
  func count(in root: OpenFolder) throws -> Count {
    var count = Count()
    _ = try walk(root, "", isDry: true, &count)
    return count
  }

  func clean(_ root: OpenFolder) throws -> Count {
    var count = Count()
    _ = try walk(root, "", isDry: false, &count)
    return count
  }

  /// - Returns: whether anything stays in the folder.
  private func walk(
    _ folder: OpenFolder, _ path: FilePath, isDry: Bool, _ count: inout Count
  ) throws -> Bool {
    try cancellation.checkpoint()
    let names = try folder.names()
    let staysItself = path.isEmpty || mounts.contains(path)
    try prepare(folder, isDry: isDry, isGoneAnyway: names.isEmpty && !staysItself)
    var keepsAny = staysItself
    for name in names {
      let inner = path.appending(name.components)
      let metadata = try folder.metadata(of: name)
      if spared.contains(inner) || (staysItself && name == "lost+found") {
        keepsAny = true
      } else if metadata.kind == .folder {
        if spared.contains(where: { $0.starts(with: inner) }) { keepsAny = true }
        if try walk(folder.folder(name), inner, isDry: isDry, &count) {
          keepsAny = true
        } else if !isDry {
          try folder.removeTree(name)
        }
      } else if metadata.kind == .file, good.contains(metadata) {
        keepsAny = true
      } else {
        count.files += 1
        if metadata.kind == .file, metadata.linkCount == 1 { count.bytes += metadata.size }
        if !isDry { try folder.remove(name) }
      }
    }
    if keepsAny, !isDry { try folder.dropAttributes() }
    return keepsAny
  }

  /// Makes sure that a folder's content can be removed, and what stays can be given attributes.
  private func prepare(_ folder: OpenFolder, isDry: Bool, isGoneAnyway: Bool) throws {
    let metadata = try folder.metadata()
    guard Account.mayChange(whatIsOf: metadata.owner) else {
      // One that is empty can be removed by the owner of the folder above.
      if isGoneAnyway { return }
      let user = RestoreFolder.name(Account.effectiveUser)
      throw StillError(
        .precondition,
        "\(folder.path) belongs to \(RestoreFolder.name(metadata.owner)), not to \(user)",
        hint: "Move it away, or give it to its new owner: chown -R \(user) \(folder.path)")
    }
    if !isDry, metadata.mode & 0o700 != 0o700 { try folder.setPermissions(".", 0o700) }
  }
}
