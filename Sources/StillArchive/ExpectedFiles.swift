import StillModel
import SystemPackage

/// What a manifest says that one archive holds.
public struct ExpectedFiles: Sendable {
  /// Which of a backup's archives.
  public enum Archive: Hashable, Sendable {
    /// The data directory's, without these tablespaces, which have archives of their own.
    case base(tablespaces: [UInt32])
    case tablespace(UInt32)
  }

  /// By the path in the archive.
  public let files: [FilePath: ManifestFile]

  public init(_ manifest: BackupManifest, in archive: Archive) {
    var files: [FilePath: ManifestFile] = [:]
    switch archive {
    case .base(let tablespaces):
      let elsewhere = tablespaces.map { FilePath("pg_tblspc/\($0)") }
      for file in manifest.files where !elsewhere.contains(where: file.path.starts(with:)) {
        files[file.path] = file
      }
    case .tablespace(let oid):
      let folder = FilePath("pg_tblspc/\(oid)")
      for file in manifest.files {
        if let path = file.path.relative(to: folder) { files[path] = file }
      }
    }
    self.files = files
  }
}
