import StillArchive
import StillModel
import StillSystem
import SystemPackage

/// The archives of one backup, written one after the other into its folder, and the manifest of
/// them all, which grows with them.
final class ArchiveSet {
  private let folder: OpenFolder
  private let compression: Compression
  private let workers: Int
  private let checksum: ChecksumAlgorithm
  private let wantsGoodPages: Bool
  private let run: Run
  private let names = AccountNames()
  private let limit: RateLimit?
  private let manifest: ManifestWriter

  private(set) var summaries: [ArchiveSummary] = []
  private(set) var missing: [String] = []
  private var checkedPages: [CheckedPages] = []

  init(
    folder: OpenFolder, of cluster: LiveCluster, _ request: BackupRequest, _ run: Run
  ) throws {
    self.folder = folder
    compression = request.compression
    workers = request.workers
    checksum = request.manifestChecksum
    wantsGoodPages = request.wantsGoodPages
    limit = request.rateLimit.map { RateLimit(bytesPerSecond: $0, run.cancellation) }
    self.run = run
    // Version 2 of the manifest names the cluster; programs before PostgreSQL 17 refuse it.
    manifest = try ManifestWriter(
      folder.file(BackupManifest.fileName, .create(permissions: 0o600)),
      systemIdentifier: cluster.facts.majorVersion >= 17 ? cluster.facts.systemIdentifier : nil)
  }

  /// Writes the archive `name`, which `body` fills; `isListed` says whether the manifest lists what is
  /// in it.
  func write(
    _ name: String, isListed: Bool = true, _ body: (ArchiveWriter) throws -> Void
  ) throws {
    let (observer, limit, manifest) = (run.observer, limit, manifest)
    // Whole seconds: pg_verifybackup refuses tar archives with the PAX records that fractions need.
    let archive = try ArchiveWriter(
      named: name, in: folder, compression: compression, workers: workers, checksum: checksum,
      archiveChecksum: isListed && checksum != .none ? .crc32c : .sha256, names: names,
      times: .seconds, cancellation: run.cancellation,
      progress: { bytes in
        observer.advanced(bytes: bytes)
        limit?.take(bytes)
      }, list: manifest.add)
    try body(archive)
    summaries.append(try archive.finish())
    checkedPages += archive.checkedPages
    for remarks in archive.remarks {
      missing += remarks.links.map { "\($0) is a link; what it leads to is not in the backup" }
      missing += remarks.specialFiles.map { "\($0) is a socket, pipe or device" }
    }
  }

  /// Tells of the damaged pages of all files, in a backup whose log reaches to `stop`. They are
  /// copied as they are: in the one copy of somebody's data there may be nothing better.
  ///
  /// - Throws: `.copying` where only good ones are wanted.
  func judgePages(before stop: LSN) throws -> [BadPages] {
    let badPages = checkedPages.compactMap { $0.badPages(before: stop) }
    for bad in badPages { run.observer.noticed("damaged: \(bad.text)") }
    guard wantsGoodPages, let first = badPages.first else { return badPages }
    var failure = StillError(
      .copying, "damaged: \(first.text)",
      hint: "Find out why before anything else (disk, memory, kernel log); without --strict-pages "
        + "they are copied as they are, and named.")
    failure.further = badPages.dropFirst().map { "damaged: \($0.text)" }
    throw failure
  }

  /// - Returns: the SHA-256 of the manifest's file.
  func endManifest(_ walRanges: [WALRange]) throws -> String {
    try manifest.finish(walRanges).description
  }
}
