import StillModel
import StillSystem
import SystemPackage

/// The files of one place as a snapshot shows them, and where on their volume their content lies: looked
/// at while the server runs on, so that little is left to do when it is down.
///
/// A file of the stopped server is what it is in the snapshot, byte by byte, when it is the same inode with
/// the same size and times, lies on the same pieces of the volume, and none of them was written since:
/// whatever wrote there, by whatever way, made the kernel copy the chunk away first. Anything that is not
/// certain makes it a file that can differ.
struct FrozenFiles {
  private struct File {
    var inode: UInt64
    var size: UInt64
    var seconds: Int64
    var nanoseconds: Int64
    var changed: Int64
    /// Nil where the file system does not tell.
    var extents: [FileExtent]?

    init(_ metadata: FileMetadata, _ extents: [FileExtent]?) {
      inode = metadata.inode
      size = metadata.size
      seconds = metadata.modifiedSeconds
      nanoseconds = metadata.modifiedNanoseconds
      changed = metadata.changed
      self.extents = extents
    }

    func isSame(as metadata: FileMetadata) -> Bool {
      inode == metadata.inode && size == metadata.size && seconds == metadata.modifiedSeconds
        && nanoseconds == metadata.modifiedNanoseconds && changed == metadata.changed
    }
  }

  private var files: [FilePath: File] = [:]
  /// What changed after this moment may have been given its place on the volume after the freeze.
  private let settled: Int64

  /// - Parameters:
  ///   - root: the place in its snapshot.
  ///   - frozen: a moment before the freeze, by the wall clock, in nanoseconds.
  init(
    _ root: OpenFolder, excluding excluded: Set<FilePath>, frozen: Int64,
    _ cancellation: Cancellation
  ) throws {
    // A freeze waits for whoever is writing.
    settled = frozen - FileSurvey.Margin.short.below
    try look(at: root, FilePath(""), excluded, cancellation)
  }

  private mutating func look(
    at folder: OpenFolder, _ path: FilePath, _ excluded: Set<FilePath>, _ cancellation: Cancellation
  ) throws {
    try cancellation.checkpoint()
    for name in try folder.names() {
      let inner = path.isEmpty ? name : path.appending(name.components)
      if excluded.contains(inner) { continue }
      let metadata = try folder.metadata(of: name)
      switch metadata.kind {
      case .folder: try look(at: try folder.folder(name), inner, excluded, cancellation)
      case .file:
        // An empty one lies nowhere; it is told by its size.
        let extents =
          metadata.size == 0 ? [] : (try? folder.file(name).extents(syncing: false)) ?? nil
        files[inner] = File(metadata, extents)
      case .link, .other: break
      }
    }
  }

  /// Whether a file of the stopped server can have another content than the snapshot's of that name.
  ///
  /// - Parameter written: since the freeze, to the place's volume.
  func canDiffer(
    _ path: FilePath, _ metadata: FileMetadata, _ written: OverwrittenChunks
  ) -> Bool {
    guard let file = files[path], file.isSame(as: metadata), let extents = file.extents else {
      return true
    }
    for extent in extents
    where written.touch(extent.physical..<extent.physical + extent.length) { return true }
    // A write of around the freeze, in the same tick of the clock: where it filled a hole, nothing of it
    // was there to be written to; and where it goes through a journal (data=journal), it may be there only.
    return metadata.changed >= settled
  }
}
