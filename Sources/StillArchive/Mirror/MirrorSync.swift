import StillSystem
import SystemPackage

/// Puts a mirror on the disk, and makes sure that it is there: everything of the file system at once,
/// and then every file and folder by itself, which has nothing left to write.
///
/// The first alone is fast and says too little. Before Linux 5.8 syncfs(2) was silent about data that
/// could not be written (735e4ae5ba28, "vfs: track per-sb writeback errors and report them to syncfs"),
/// later ones tell it to one caller of those that have no descriptor from before; FUSE may do nothing at
/// all. Each inode keeps its own error, and fsync(2) tells it.
///
/// - Parameter folder: the backup's, opened before anything was written in it.
public func sync(
  mirror folder: OpenFolder, workers: Int, _ cancellation: Cancellation? = nil
) throws {
  try folder.syncFileSystem()
  let crew = try WorkCrew(workers: workers, cancellation: cancellation)
  _ = try TreeWalk.run(
    SourceTree(.other(prefix: FilePath("")), root: folder), cancellation: cancellation
  ) { entry in
    switch entry.kind {
    // Those with other names were on the disk before, and nobody has written to them since.
    case .file where entry.metadata.linkCount == 1:
      guard let file = try entry.open(isFrozen: true) else { return }
      try crew.give { _ in try file.sync() }
    case .folder(let inner?): try inner.sync()
    default: break
    }
  }
  try crew.drain()
}
