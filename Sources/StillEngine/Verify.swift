import StillArchive
import StillModel
import StillPostgres
import StillSystem
import SystemPackage

/// What a verification found.
public struct VerifyResult: Hashable, Sendable, Codable {
  public var id: RunID
  public var path: String
  /// Everything that is wrong, each line naming the file; empty for a good backup.
  public var problems: [String]
  public var files: UInt64
  /// Content read, in bytes.
  public var bytes: UInt64
  public var seconds: Double
  /// Nil where no server was started on it.
  public var proof: BackupRecord.Proof?

  public var isGood: Bool { problems.isEmpty && proof?.isGood ?? true }
}

/// Verifies a backup: locate ─▶ read everything against the manifest.
///
/// - Returns: what is wrong, down to the file; a damaged record or manifest is a finding too.
/// - Throws: only for a cancellation, or where the backup cannot be read at all.
public func verify(
  _ backup: BackupFolder, workers: Int, _ observer: any Observer, _ cancellation: Cancellation
) throws -> VerifyResult {
  let run = Run(observer, cancellation)
  let watch = Stopwatch()
  let findings = BackupFindings(workers: workers, cancellation)
  try run.phase(.verify, backup.path.string, failsAs: .copying) {
    guard let record = try findings.collect({ try backup.record() }) else { return }
    observer.expects(bytes: record.bytesRead)
    let manifest = try findings.collect { try backup.manifest(of: record) }
    for archive in record.archives {
      try findings.read(archive, of: backup, record, manifest, observer)
    }
    for part in record.mirror?.parts ?? [] {
      try findings.read(part, of: backup, record, manifest, observer)
    }
    try findings.compareWithFolder(backup, record)
  }
  return VerifyResult(
    id: backup.id, path: backup.path.string, problems: findings.problems, files: findings.files,
    bytes: findings.bytes, seconds: watch.seconds)
}

/// Collects what is wrong, and goes on.
private final class BackupFindings {
  private(set) var problems: [String] = []
  private(set) var files: UInt64 = 0
  private(set) var bytes: UInt64 = 0
  let cancellation: Cancellation

  private let workers: Int

  init(workers: Int, _ cancellation: Cancellation) {
    self.workers = workers
    self.cancellation = cancellation
  }

  func collect<Result>(_ body: () throws -> Result) throws -> Result? {
    do {
      return try body()
    } catch let failure as StillError {
      try cancellation.checkpoint()
      problems.append(failure.message)
      return nil
    }
  }

  func read(
    _ archive: BackupRecord.Archive, of backup: BackupFolder, _ record: BackupRecord,
    _ manifest: ManifestReader?, _ observer: any Observer
  ) throws {
    let name = FilePath(archive.name)
    let wal = archive.name.hasPrefix("pg_wal.tar") ? ArchivedWAL(record) : nil
    guard
      let findings = try collect({
        try StillArchive.verify(
          archive: try backup.folder.file(name), against: expected(in: archive, record, manifest),
          checksum: archive.requireChecksum(backup).algorithm, workers: workers,
          cancellation: cancellation, progress: { observer.advanced(bytes: $0) },
          witness: { wal?.file($0, size: $1) })
      })
    else { return }
    files += findings.goodFiles
    bytes += findings.bytes
    problems += findings.problems(in: archive.name)
    // A byte that no checksum inside the archive covers: padding, names, modes, WAL.
    if let checksum = findings.checksum, checksum.labelled != archive.checksum {
      problems.append(
        "\(archive.name) was changed: its \(checksum.algorithm.rawValue) checksum is not what "
          + "backup.json says")
    }
    guard let wal else { return }
    if findings.isClean, archive.files != Int(findings.goodFiles) {
      problems.append(
        "\(archive.name) holds \(findings.goodFiles) files instead of \(archive.files)")
    }
    try judge(wal, in: archive.name, record, manifest)
  }

  func read(
    _ part: BackupRecord.Mirror.Part, of backup: BackupFolder, _ record: BackupRecord,
    _ manifest: ManifestReader?, _ observer: any Observer
  ) throws {
    let folder = MirrorPart.folder(of: part.name)
    let wal = part.name == "pg_wal" ? ArchivedWAL(record) : nil
    guard
      let findings = try collect({
        // What the manifest lists cannot be judged without it; that it is bad, is said already.
        let expected =
          try record.unlistedFiles(ofPart: part.name)
          ?? manifest.map { ExpectedFiles($0, in: record.archive(ofPart: part.name)) }
        return try expected.map {
          try StillArchive.verify(
            mirror: try backup.folder.folder(folder),
            without: MirrorPart.elsewhere(of: part.name), against: $0, part, workers: workers,
            cancellation: cancellation, progress: { observer.advanced(bytes: $0) },
            witness: { wal?.file($0, size: $1) })
        }
      }), let findings
    else { return }
    files += findings.goodFiles
    bytes += findings.bytes
    problems += findings.problems(in: folder.string)
    if let wal { try judge(wal, in: folder.string, record, manifest) }
  }

  private func judge(
    _ wal: ArchivedWAL, in place: String, _ record: BackupRecord, _ manifest: ManifestReader?
  ) throws {
    guard let manifest else { return }
    let ranges = manifest.walRanges.map {
      FrozenWAL.Range(timeline: $0.timeline, start: $0.start, end: $0.end)
    }
    problems += wal.problems(needed: ranges).map { "\(place): \($0)" }
    let begin = record.online?.start ?? record.wal.redo
    if let first = ranges.map(\.start).min(), first != begin {
      problems.append(
        "backup_manifest names WAL from \(first), but recovery begins at \(begin)")
    }
  }

  private func expected(
    in archive: BackupRecord.Archive, _ record: BackupRecord, _ manifest: ManifestReader?
  ) -> ExpectedFiles? {
    guard let manifest, let stem = archive.name.split(separator: ".").first else { return nil }
    guard stem == "base" || UInt32(stem) != nil else { return nil }
    return ExpectedFiles(manifest, in: record.archive(ofPart: String(stem)))
  }

  /// Nothing else may lie in a backup's folder: it would be restored by nobody.
  func compareWithFolder(_ backup: BackupFolder, _ record: BackupRecord) throws {
    let folders = record.mirror?.parts.map { MirrorPart.folder(of: $0.name) } ?? []
    let known = Set(
      record.archives.map(\.name) + folders.compactMap { $0.components.first?.string }
        + ["backup.json", "backup_manifest", RecordFile.newName.string])
    for name in try backup.folder.names() where !known.contains(name.string) {
      problems.append("\(name) does not belong to this backup")
    }
    guard folders.contains(where: { $0.starts(with: MirrorPart.tablespaces) }) else { return }
    let names = try collect { try backup.folder.folder(MirrorPart.tablespaces).names() } ?? []
    for path in names.map({ MirrorPart.tablespaces.appending($0.components) })
    where !folders.contains(path) {
      problems.append("\(path) does not belong to this backup")
    }
  }
}

extension ArchivedWAL.File: ContentWitness {}

extension ArchivedWAL {
  /// Of the backup that `record` tells of.
  fileprivate convenience init(_ record: BackupRecord) {
    self.init(
      segmentSize: UInt32(clamping: record.server.walSegmentSize),
      systemIdentifier: record.server.systemIdentifier)
  }
}

extension BackupRecord {
  /// Which files of the manifest belong to a part of a backup.
  fileprivate func archive(ofPart name: String) -> ExpectedFiles.Archive {
    UInt32(name).map { .tablespace($0) } ?? .base(tablespaces: tablespaces.map(\.oid))
  }

  /// The files of a mirror's part of which the manifest says nothing; nil for every other part.
  func unlistedFiles(ofPart name: String) throws -> ExpectedFiles? {
    guard name == "pg_wal" || name == "config",
      let part = mirror?.parts.first(where: { $0.name == name })
    else { return nil }
    let files = try part.unlisted.map { file in
      guard let checksum = Checksum(labelled: file.checksum), checksum.algorithm != .none else {
        throw StillError(
          .copying, "backup.json has no checksum of \(file.path.path)",
          hint: "It may come from a newer pgstill.")
      }
      return ManifestFile(
        path: file.path.path, size: file.size, modified: began, checksum: checksum)
    }
    let list = BackupManifest(systemIdentifier: nil, files: files, walRanges: [])
    return ExpectedFiles(list, in: .base(tablespaces: []))
  }
}

extension VerifyFindings {
  /// One line for each thing that is wrong.
  fileprivate func problems(in archive: String) -> [String] {
    var lines = damage.map(\.message)
    lines += bad.map { "\(archive): \($0.path) is bad: \($0.fault)" }
    lines += missing.map { "\(archive): \($0) is missing" }
    lines += extra.map { "\(archive): \($0) is not in the manifest" }
    lines += unread.map { "\(archive): \($0) could not be read" }
    return lines
  }
}
