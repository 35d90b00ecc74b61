import StillModel
import StillSystem
import Synchronization
import SystemPackage

/// What is wrong with one archive of a backup.
public struct VerifyFindings: Equatable, Sendable {
  public struct BadFile: Hashable, Sendable {
    public var path: FilePath
    /// What is wrong with it: "its SHA256 checksum is … instead of …".
    public var fault: String
  }

  /// Files whose size or checksum is not what the manifest says.
  public var bad: [BadFile] = []
  /// Files that the manifest lists and the archive does not hold.
  public var missing: [FilePath] = []
  /// Files that the manifest does not list, and paths that no backup has.
  public var extra: [FilePath] = []
  /// What is wrong with the archive itself, such that not only the content of one file is lost.
  public var damage: [StillError] = []
  /// Files that the damage cut short, and those that may be behind it.
  public var unread: [FilePath] = []
  /// What was read and is good.
  public var goodFiles: UInt64 = 0
  /// Content read, good or not.
  public var bytes: UInt64 = 0
  /// Of the archive as it lies there, if nothing else is wrong and one was asked for.
  public var checksum: Checksum?

  public var isClean: Bool {
    bad.isEmpty && missing.isEmpty && extra.isEmpty && damage.isEmpty && unread.isEmpty
  }
}

/// Looks on while an archive is verified.
public protocol ContentWitness: AnyObject, Sendable {
  /// Pieces of one file come in any order, from any thread, several at a time.
  func saw(_ bytes: UnsafeRawBufferPointer, at offset: UInt64)
  /// Called once, after the last piece.
  func ended()
}

/// Reads all of an archive and compares it with the manifest, past every bad file and everything
/// that is damaged to the end.
///
/// Without `expected`, only the archive itself is checked (WAL, configuration). With `checksum` the
/// findings have that of the archive as a whole.
///
/// - Throws: only for a cancellation or a file that cannot be read; what is wrong with the archive
///   is in the findings.
///
/// `workers` threads do it; `progress` is called by them, and has to be cheap. `witness` names who
/// looks on at a file's content, by its path and size.
public func verify(
  archive: OpenFile, against expected: ExpectedFiles?, checksum: ChecksumAlgorithm? = nil,
  workers: Int = 2,
  cancellation: Cancellation? = nil,
  progress: @escaping @Sendable (UInt64) -> Void = { _ in },
  witness: @escaping (FilePath, UInt64) -> (any ContentWitness)? = { _, _ in nil }
) throws -> VerifyFindings {
  let verifier = Verifier(archive: archive.path, expected, witness, progress)
  let reader = try TarReader(
    archive, workers: workers, checksum: checksum, cancellation: cancellation)
  do {
    try reader.salvage(into: verifier)
  } catch let error as StillError where error.status == .copying && !isOrder(cancellation) {
    verifier.found(error)
  }
  var findings = try verifier.finish()
  if findings.isClean { findings.checksum = try reader.source.checksum() }
  return findings
}

/// Reads all of a part of a mirror and compares it with what it has to be, past every bad file.
///
/// - Parameters:
///   - elsewhere: folders of it that are no part of it.
///   - part: what the backup's record says of folders and links.
/// - Throws: only for a cancellation or a folder that cannot be read.
public func verify(
  mirror: OpenFolder, without elsewhere: Set<FilePath> = [], against expected: ExpectedFiles,
  _ part: BackupRecord.Mirror.Part, workers: Int = 2, cancellation: Cancellation? = nil,
  progress: @escaping @Sendable (UInt64) -> Void = { _ in },
  witness: @escaping (FilePath, UInt64) -> (any ContentWitness)? = { _, _ in nil }
) throws -> VerifyFindings {
  let verifier = MirrorVerifier(
    Verifier(archive: mirror.path, expected, witness, progress), part)
  let reader = MirrorReader(mirror, without: elsewhere, workers: workers, cancellation)
  try reader.read(into: verifier)
  return try verifier.finish()
}

/// Looks at folders and links too, which no manifest lists.
private final class MirrorVerifier: TarSink {
  private let files: Verifier
  private var folders: Set<FilePath>
  private var links: [FilePath: FilePath]
  private var findings = VerifyFindings()

  init(_ files: Verifier, _ part: BackupRecord.Mirror.Part) {
    self.files = files
    folders = Set(part.folders.map(\.path))
    links = Dictionary(
      part.links.map { ($0.path.path, $0.target.path) }, uniquingKeysWith: { $1 })
  }

  func begin(_ member: TarMember) throws -> ArchivedFile? {
    switch member.kind {
    case .folder:
      if !member.path.isEmpty, folders.remove(member.path) == nil {
        findings.extra.append(member.path)
      }
      return nil
    case .link(let target):
      let found = FilePath(bytes: target)
      switch links.removeValue(forKey: member.path) {
      case nil: findings.extra.append(member.path)
      case found: break
      case let wanted?:
        findings.bad.append(
          .init(path: member.path, fault: "it is a link to \(found) instead of \(wanted)"))
      }
      return nil
    default: return try files.begin(member)
    }
  }

  func finish() throws -> VerifyFindings {
    var all = try files.finish()
    all.bad += findings.bad
    all.extra += findings.extra
    all.missing += (Array(folders) + Array(links.keys)).sorted {
      $0.bytes.lexicographicallyPrecedes($1.bytes)
    }
    return all
  }
}

/// Whether the reason to stop came from outside; it may have the status of a damaged archive.
private func isOrder(_ cancellation: Cancellation?) -> Bool { cancellation?.isCancelled ?? false }

private final class Verifier: SalvageSink {
  private let archive: FilePath
  private let expected: ExpectedFiles?
  private let witness: (FilePath, UInt64) -> (any ContentWitness)?
  private let results: Results
  private var extra: [FilePath] = []
  private var damage: [StillError] = []
  private var links = FoundLinks()
  private var count = 0

  init(
    archive: FilePath, _ expected: ExpectedFiles?,
    _ witness: @escaping (FilePath, UInt64) -> (any ContentWitness)?,
    _ progress: @escaping @Sendable (UInt64) -> Void
  ) {
    self.archive = archive
    self.expected = expected
    self.witness = witness
    results = Results(progress)
  }

  func begin(_ member: TarMember) throws -> ArchivedFile? {
    guard let path = try? member.safePath(archive) else {
      extra.append(member.path)
      return nil
    }
    switch member.kind {
    case .folder, .link: return nil
    case .other:
      extra.append(path)
      return nil
    case .file, .hardLink: break
    }
    var listed: ManifestFile?
    if let expected {
      listed = try expected.take(path)
      if listed == nil { extra.append(path) }
    } else if member.kind == .file, !links.addUnlisted(path) {
      extra.append(path)
    }
    if case .hardLink(let target) = member.kind {
      guard expected == nil || listed != nil else { return nil }
      var other = member
      other.path = FilePath(bytes: target)
      links.add(path, to: (try? other.safePath(archive)) ?? other.path, listed)
      return nil
    }
    count += 1
    let isJudged = expected == nil || listed != nil
    return ArchivedFile(
      member, listed,
      to: ReadFile(
        path, number: count, isJudged: isJudged, results, witness(path, member.size)))
  }

  func found(_ damage: StillError) {
    // Of a stretch that is lost, one word is enough.
    if self.damage.last != damage { self.damage.append(damage) }
  }

  /// Folders and symbolic links are not in the manifest, and nobody judges them.
  func expects(_ member: TarMember) throws -> Bool {
    guard let path = try? member.safePath(archive) else { return false }
    switch member.kind {
    case .folder, .link, .other: return false
    case .file, .hardLink: return try expected?.holds(path) ?? true
    }
  }

  func finish() throws -> VerifyFindings {
    var findings = results.findings
    findings.extra = extra
    let rest = try expected?.rest() ?? []
    findings.damage = damage
    if damage.isEmpty {
      findings.missing = rest
    } else {
      findings.unread += rest
    }
    try links.judge(expected, &findings)
    return findings
  }

  /// What the threads find.
  final class Results: Sendable {
    private struct State {
      var bad: [(number: Int, file: VerifyFindings.BadFile)] = []
      var unfinished: [Int: FilePath] = [:]
      var goodFiles: UInt64 = 0
      var bytes: UInt64 = 0
    }

    private let state = Mutex(State())
    private let progress: @Sendable (UInt64) -> Void

    init(_ progress: @escaping @Sendable (UInt64) -> Void) { self.progress = progress }

    func began(_ file: FilePath, _ number: Int) {
      state.withLock { $0.unfinished[number] = file }
    }

    func read(_ count: Int) {
      state.withLock { $0.bytes += UInt64(count) }
      progress(UInt64(count))
    }

    func ended(_ path: FilePath, _ number: Int, isJudged: Bool, _ fault: String?) {
      state.withLock { state in
        state.unfinished[number] = nil
        if let fault {
          state.bad.append((number, .init(path: path, fault: fault)))
        } else if isJudged {
          state.goodFiles += 1
        }
      }
    }

    /// In the order of the archive.
    var findings: VerifyFindings {
      state.withLock { state in
        var findings = VerifyFindings()
        findings.bad = state.bad.sorted { $0.number < $1.number }.map(\.file)
        findings.unread = state.unfinished.sorted { $0.key < $1.key }.map(\.value)
        findings.goodFiles = state.goodFiles
        findings.bytes = state.bytes
        return findings
      }
    }
  }
}

/// A file that is only read.
private final class ReadFile: ContentSink {
  private let path: FilePath
  private let number: Int
  private let isJudged: Bool
  private let results: Verifier.Results
  private let witness: (any ContentWitness)?

  init(
    _ path: FilePath, number: Int, isJudged: Bool, _ results: Verifier.Results,
    _ witness: (any ContentWitness)?
  ) {
    self.path = path
    self.witness = witness
    self.number = number
    self.isJudged = isJudged
    self.results = results
    results.began(path, number)
  }

  func put(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) {
    witness?.saw(bytes, at: offset)
    results.read(bytes.count)
  }

  func end(_ fault: String?) {
    witness?.ended()
    results.ended(path, number, isJudged: isJudged, fault)
  }
}
