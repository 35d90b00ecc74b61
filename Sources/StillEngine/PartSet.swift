import StillArchive
import StillModel
import StillSystem
import SystemPackage

/// Where a copy of a cluster goes.
struct CopyPlace {
  /// The backup's own folder, empty.
  let folder: OpenFolder
  /// The mirror that a new one shares files with; nil where there is none.
  var earlier: BackupFolder?
}

/// The parts of one backup, written one after the other into its folder, as archives or as a tree, and the
/// manifest of them all, which grows with them.
final class PartSet {
  private let place: CopyPlace
  private let compression: Compression
  private let workers: Int
  private let checksum: ChecksumAlgorithm
  private let wantsGoodPages: Bool
  private let run: Run
  private let names = AccountNames()
  private let progress: @Sendable (UInt64) -> Void
  private let manifest: ManifestWriter
  /// Nil where archives are written.
  private let tree: MirrorTree?
  private var mirrored: [BackupRecord.Mirror.Part] = []

  private(set) var archives: [ArchiveSummary] = []
  private(set) var missing: [String] = []
  private var checkedPages: [CheckedPages] = []

  init(
    in place: CopyPlace, of cluster: LiveCluster, _ request: BackupRequest, _ run: Run
  ) throws {
    self.place = place
    compression = request.compression
    workers = request.workers
    checksum = request.manifestChecksum
    wantsGoodPages = request.wantsGoodPages
    let limit = request.rateLimit.map { RateLimit(bytesPerSecond: $0, run.cancellation) }
    let meter = run.meter
    let progress: @Sendable (UInt64) -> Void = { bytes in
      meter.advanced(bytes: bytes)
      limit?.take(bytes)
    }
    self.progress = progress
    self.run = run
    // Version 2 of the manifest names the cluster; programs before PostgreSQL 17 refuse it.
    manifest = try ManifestWriter(
      place.folder.file(BackupManifest.fileName, .create(permissions: 0o600)),
      systemIdentifier: cluster.facts.majorVersion >= 17 ? cluster.facts.systemIdentifier : nil)
    tree =
      request.format == .tar
      ? nil
      : try MirrorTree(
        place.folder, earlier: place.earlier?.folder, workers: request.workers,
        cancellation: run.cancellation, progress: progress)
  }

  /// Whether the server may be told by a file where its tablespaces are. It makes a link to each old place
  /// then; on a copy of a mirror those that lead to its own folders have to stay.
  var hasTablespaceMap: Bool { tree == nil }

  /// Writes the part `name`, which `body` fills; `isListed` says whether the manifest lists what is
  /// in it.
  func write(
    _ name: String, isListed: Bool = true, _ body: (any PartWriter) throws -> Void
  ) throws {
    let writer: any PartWriter
    if let tree {
      let mirror = try MirrorWriter(
        named: name, in: tree, checksum: isListed ? checksum : .sha256,
        list: isListed ? manifest.add : nil)
      try body(mirror)
      mirrored.append(try mirror.finish())
      writer = mirror
    } else {
      // Whole seconds: pg_verifybackup refuses tar archives with the PAX records that fractions need.
      let archive = try ArchiveWriter(
        named: name, in: place.folder, compression: compression, workers: workers,
        checksum: checksum, archiveChecksum: isListed && checksum != .none ? .crc32c : .sha256,
        names: names, times: .seconds, cancellation: run.cancellation, progress: progress,
        list: manifest.add)
      try body(archive)
      archives.append(try archive.finish())
      writer = archive
    }
    checkedPages += writer.checkedPages
    for remarks in writer.remarks {
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

  /// Ends the backup's files, but for the record.
  ///
  /// - Returns: what the record says of a mirror; nil where archives were written.
  func endMirror() throws -> BackupRecord.Mirror? {
    guard let tree else { return nil }
    try tree.finish()
    for note in tree.notes { run.observer.noticed(note) }
    giveFoldersToWAL()
    let (apart, more) = tree.apart
    return .init(
      sharedWith: place.earlier?.id, sharing: tree.sharing, parts: mirrored, apart: apart,
      moreApart: more)
  }

  /// The folders of an empty `pg_wal` come with the data directory, and lie in the other part.
  private func giveFoldersToWAL() {
    guard let base = mirrored.firstIndex(where: { $0.name == "base" }),
      let wal = mirrored.firstIndex(where: { $0.name == "pg_wal" })
    else { return }
    let inner = mirrored[base].folders.filter { $0.path.starts(with: "pg_wal") }
    mirrored[base].folders.removeAll { $0.path.starts(with: "pg_wal") }
    for folder in inner.compactMap({ $0.path.relative(to: "pg_wal") }) where !folder.isEmpty {
      let known = RecordedPath(folder)
      if !mirrored[wal].folders.contains(known) { mirrored[wal].folders.append(known) }
    }
  }

  /// - Returns: the SHA-256 of the manifest's file.
  func endManifest(_ walRanges: [WALRange]) throws -> String {
    try manifest.finish(walRanges).description
  }
}
