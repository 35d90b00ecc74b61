import StillArchive
import StillModel
import StillSystem
import SystemPackage

/// File systems that are mounted inside folders that are cleaned. Those that hold files of the backup
/// are the cluster's; any other one may be anybody's, and is not emptied.
struct InnerMounts {
  private let table: MountTable

  init() throws { table = try .current() }

  /// Where file systems are mounted in the data directory, seen from there.
  ///
  /// - Parameter spared: what is not cleaned.
  /// - Throws: `.precondition` for one that is not the cluster's, or cannot be written to.
  func mounts(
    inDataDirectory folder: OpenFolder, sparing spared: Set<FilePath>, _ manifest: ManifestReader
  ) throws -> Set<FilePath> {
    let inside = try points(in: folder).filter { point in
      !spared.contains { point.starts(with: $0) }
    }
    var unknown = inside.filter { point in !spared.contains { $0.starts(with: point) } }
    if !unknown.isEmpty {
      let files = manifest.files()
      while !unknown.isEmpty, let file = try files.next() {
        unknown = unknown.filter { !file.path.starts(with: $0) }
      }
    }
    if let point = unknown.first { throw isMounted(folder.path.appending(point.components)) }
    for point in inside { try folder.folder(point).requireWritable() }
    return Set(inside)
  }

  /// - Throws: `.precondition` where the folder is a mount point itself, or there is one in it.
  func requireNone(in folder: OpenFolder) throws {
    let path = try folder.path.resolved()
    if let entry = table.entries.first(where: { $0.mountPoint.starts(with: path) }) {
      throw isMounted(entry.mountPoint)
    }
  }

  private func points(in folder: OpenFolder) throws -> [FilePath] {
    let path = try folder.path.resolved()
    return table.entries(below: path).compactMap { $0.mountPoint.relative(to: path) }
  }

  private func isMounted(_ point: FilePath) -> StillError {
    StillError(
      .precondition,
      "a file system is mounted at \(point), where all is removed that is not in the backup",
      hint: "Unmount it first, or restore to an empty folder.")
  }
}
