import StillSystem
import SystemPackage

/// Where a file of a mirror goes, and what the mirror before has in its place.
struct MirrorPlace: Sendable {
  var folder: OpenFolder
  var name: FilePath
  /// nil where that mirror has no such folder, and where nothing is to be shared.
  var earlier: OpenFolder?

  /// The earlier file, if it is one. A link in its place is not followed, for nobody knows where to.
  func openEarlier() -> (file: OpenFile, metadata: FileMetadata)? {
    guard let earlier, let found = try? earlier.metadataIfPresent(of: name), found.kind == .file,
      let file = try? earlier.file(name), let metadata = try? file.metadata(),
      metadata.kind == .file
    else { return nil }
    return (file, metadata)
  }
}
