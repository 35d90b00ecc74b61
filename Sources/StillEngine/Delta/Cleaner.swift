import StillModel
import StillSystem
import SystemPackage

/// Removes everything from an existing cluster's folders but the files that stay. Folders without such
/// a file go too: those of the backup are made again.
struct Cleaner {
  let good: GoodFiles
  /// Below the root: what is left alone, with everything in it.
  let spared: Set<FilePath>
  let cancellation: Cancellation

  /// What was, or would be, removed.
  struct Count {
    var files: UInt64 = 0
    var bytes: UInt64 = 0
  }

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
    if !isDry { try folder.dropAttributes() }
    var keepsAny = false
    for name in try folder.names() {
      let inner = path.appending(name.components)
      let metadata = try folder.metadata(of: name)
      if spared.contains(inner) || (path.isEmpty && name == "lost+found") {
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
    return keepsAny
  }
}
