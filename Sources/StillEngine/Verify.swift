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
    guard let manifest else { return }
    let ranges = manifest.walRanges.map {
      FrozenWAL.Range(timeline: $0.timeline, start: $0.start, end: $0.end)
    }
    problems += wal.problems(needed: ranges).map { "\(archive.name): \($0)" }
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
    if stem == "base" {
      return ExpectedFiles(manifest, in: .base(tablespaces: record.tablespaces.map(\.oid)))
    }
    return UInt32(stem).map { ExpectedFiles(manifest, in: .tablespace($0)) }
  }

  /// Nothing else may lie in a backup's folder: it would be restored by nobody.
  func compareWithFolder(_ backup: BackupFolder, _ record: BackupRecord) throws {
    let known = Set(
      record.archives.map(\.name) + ["backup.json", "backup_manifest", RecordFile.newName.string])
    for name in try backup.folder.names() where !known.contains(name.string) {
      problems.append("\(name) does not belong to this backup")
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
