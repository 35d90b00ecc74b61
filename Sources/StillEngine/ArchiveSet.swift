import StillArchive
import StillModel
import StillSystem
import SystemPackage

/// The archives of one backup, written one after the other into its folder, and the manifest of
/// them all.
final class ArchiveSet {
  private let folder: OpenFolder
  private let compression: Compression
  private let workers: Int
  private let run: Run
  private let names = AccountNames()
  private let limit: RateLimit?

  private(set) var summaries: [ArchiveSummary] = []
  private(set) var manifest: [ManifestFile] = []
  private(set) var missing: [String] = []
  private var checkedPages: [CheckedPages] = []

  init(
    folder: OpenFolder, _ request: BackupRequest, _ run: Run
  ) {
    self.folder = folder
    compression = request.compression
    workers = request.workers
    limit = request.rateLimit.map { RateLimit(bytesPerSecond: $0, run.cancellation) }
    self.run = run
  }

  /// Writes the archive `name`, which `body` fills.
  func write(_ name: String, _ body: (ArchiveWriter) throws -> Void) throws {
    let (observer, limit) = (run.observer, limit)
    // Whole seconds: pg_verifybackup refuses tar archives with the PAX records that fractions need.
    let archive = try ArchiveWriter(
      named: name, in: folder, compression: compression, workers: workers, checksum: .sha256,
      names: names, times: .seconds, cancellation: run.cancellation,
      progress: { bytes in
        observer.advanced(bytes: bytes)
        limit?.take(bytes)
      })
    try body(archive)
    summaries.append(try archive.finish())
    manifest += archive.manifest
    checkedPages += archive.checkedPages
    for remarks in archive.remarks {
      missing += remarks.links.map { "\($0) is a link; what it leads to is not in the backup" }
      missing += remarks.specialFiles.map { "\($0) is a socket, pipe or device" }
    }
  }

  /// The damaged pages of all files, in a backup whose log reaches to `stop`.
  func badPages(before stop: LSN) -> [BadPages] {
    checkedPages.compactMap { $0.badPages(before: stop) }
  }

  /// - Returns: the SHA-256 of the manifest's file.
  func writeManifest(_ manifest: BackupManifest) throws -> String {
    let file = try folder.file(BackupManifest.fileName, .create(permissions: 0o600))
    try manifest.write(to: file)
    try file.sync()
    try file.close()
    return try FileDigest.sha256(of: folder.file(BackupManifest.fileName))
  }
}
