import StillModel
import SystemPackage

/// What a manifest says that one archive holds.
///
/// Our archives hold their files in the manifest's order, so each entry is read when its file comes
/// by, and none is kept. Files in another order are found as well; then entries pile up.
public final class ExpectedFiles {
  /// Which of a backup's archives.
  public enum Archive: Hashable, Sendable {
    /// The data directory's, without these tablespaces, which have archives of their own.
    case base(tablespaces: [UInt32])
    case tablespace(UInt32)
  }

  private let files: () -> () throws -> ManifestFile?
  private let nextFile: () throws -> ManifestFile?
  private let pathInArchive: (FilePath) -> FilePath?
  /// Entries that were passed by, by their path in the archive.
  private var passed: [FilePath: ManifestFile] = [:]

  public convenience init(_ manifest: BackupManifest, in archive: Archive) {
    self.init(archive) {
      var files = manifest.files[...]
      return { files.popFirst() }
    }
  }

  public convenience init(_ manifest: ManifestReader, in archive: Archive) {
    self.init(archive) {
      let files = manifest.files()
      return { try files.next() }
    }
  }

  private init(_ archive: Archive, _ files: @escaping () -> () throws -> ManifestFile?) {
    self.files = files
    nextFile = files()
    switch archive {
    case .base(let tablespaces):
      let elsewhere = tablespaces.map { FilePath("pg_tblspc/\($0)") }
      pathInArchive = { path in elsewhere.contains(where: path.starts(with:)) ? nil : path }
    case .tablespace(let oid):
      let folder = FilePath("pg_tblspc/\(oid)")
      pathInArchive = { $0.relative(to: folder) }
    }
  }

  /// The entry for a file of the archive; nil where there is none, or it was taken before.
  func take(_ path: FilePath) throws -> ManifestFile? {
    if let file = passed.removeValue(forKey: path) { return file }
    while let file = try nextFile() {
      guard let its = pathInArchive(file.path) else { continue }
      if its == path { return file }
      passed[its] = file
    }
    return nil
  }

  /// Whether there is an entry for a file that was not taken yet.
  func holds(_ path: FilePath) throws -> Bool {
    guard let file = try take(path) else { return false }
    passed[path] = file
    return true
  }

  /// The entries of these files, taken or not, by their path in the archive.
  func entries(of paths: Set<FilePath>) throws -> [FilePath: ManifestFile] {
    guard !paths.isEmpty else { return [:] }
    var found: [FilePath: ManifestFile] = [:]
    let next = files()
    while let file = try next() {
      if let path = pathInArchive(file.path), paths.contains(path) { found[path] = file }
    }
    return found
  }

  /// What was not taken, by its path in the archive, in the order of bytes.
  func rest() throws -> [FilePath] {
    while let file = try nextFile() {
      if let path = pathInArchive(file.path) { passed[path] = file }
    }
    return passed.keys.sorted { $0.bytes.lexicographicallyPrecedes($1.bytes) }
  }
}
