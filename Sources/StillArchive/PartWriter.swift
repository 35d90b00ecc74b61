import StillModel
import StillSystem
import SystemPackage

/// What a part of a cluster is copied into: an archive, or the folder of a mirror.
public protocol PartWriter: AnyObject {
  /// What the trees so far held that is not in the backup.
  var remarks: [WalkRemarks] { get }
  /// The files so far that have pages without the checksums that stand in them.
  var checkedPages: [CheckedPages] { get }

  /// Adds everything of a tree that belongs into a backup.
  @discardableResult
  func add(_ tree: SourceTree) throws -> WalkRemarks

  /// Adds a file under a name; `inManifest` is where the manifest lists it, nil for WAL and other
  /// files that it does not list. `inspect` gets to see every byte on the way, in their order, before
  /// this returns.
  func add(
    _ source: OpenFile, as path: FilePath, inManifest: FilePath?,
    inspect: ((UnsafeRawBufferPointer) -> Void)?) throws

  /// Adds a small file that is read to its end before anything of it is in the backup: after an error
  /// that says "cannot" the backup is as it was.
  func addWhole(_ source: OpenFile, as path: FilePath) throws

  /// Adds a file from memory, such as `backup_label`. It belongs to the owner of what `like` is of;
  /// `modified` counts seconds since 1970.
  func add(
    _ content: [UInt8], as path: FilePath, mode: UInt32, like: FileMetadata?, modified: Int64,
    inManifest: FilePath?) throws

  /// Adds an empty folder.
  func addFolder(_ path: FilePath, like metadata: FileMetadata) throws

  /// Waits until all content that was added has been read: what happens to live files from then on is
  /// not in the backup.
  func waitUntilRead() throws
}

extension PartWriter {
  public func add(
    _ source: OpenFile, as path: FilePath, inspect: ((UnsafeRawBufferPointer) -> Void)? = nil
  ) throws {
    try add(source, as: path, inManifest: nil, inspect: inspect)
  }

  public func add(
    _ content: [UInt8], as path: FilePath, like: FileMetadata, modified: Int64,
    inManifest: FilePath? = nil
  ) throws {
    try add(
      content, as: path, mode: 0o600, like: like, modified: modified, inManifest: inManifest)
  }
}

extension ArchiveWriter: PartWriter {}
