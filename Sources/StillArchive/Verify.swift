import StillModel
import StillSystem
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
  /// What is wrong with the archive itself, such that its rest could not be read.
  public var damage: StillError?
  /// Files that the damage cut short, and those that may be behind it.
  public var unread: [FilePath] = []
  /// What was read and is good.
  public var goodFiles: UInt64 = 0
  /// Content read, good or not.
  public var bytes: UInt64 = 0

  public var isClean: Bool {
    bad.isEmpty && missing.isEmpty && extra.isEmpty && damage == nil && unread.isEmpty
  }
}

/// Reads all of an archive and compares it with the manifest, past every bad file to the end.
///
/// Without `expected`, only the archive itself is checked (WAL, configuration).
///
/// - Throws: only for a cancellation or a file that cannot be read; what is wrong with the archive
///   is in the findings.
public func verify(
  archive: OpenFile, against expected: ExpectedFiles?, cancellation: Cancellation? = nil,
  progress: @escaping (UInt64) -> Void = { _ in }
) throws -> VerifyFindings {
  let verifier = Verifier(archive: archive.path, expected, progress)
  do {
    try TarReader(archive, cancellation: cancellation).read(into: verifier)
  } catch let error as StillError where error.status == .copying && !isOrder(cancellation) {
    return verifier.finish(damage: error)
  }
  return verifier.finish(damage: nil)
}

/// Whether the reason to stop came from outside; it may have the status of a damaged archive.
private func isOrder(_ cancellation: Cancellation?) -> Bool { cancellation?.isCancelled ?? false }

private final class Verifier: TarSink {
  private let archive: FilePath
  private let expected: ExpectedFiles?
  private let progress: (UInt64) -> Void
  private var findings = VerifyFindings()
  private var unseen: Set<FilePath>
  private var path = FilePath("")
  private var check: FileCheck?
  private var isGoodSoFar = false
  private var isWithinFile = false

  init(archive: FilePath, _ expected: ExpectedFiles?, _ progress: @escaping (UInt64) -> Void) {
    self.archive = archive
    self.expected = expected
    self.progress = progress
    unseen = Set(expected?.files.keys.map { $0 } ?? [])
  }

  func begin(_ member: TarMember) throws {
    check = nil
    isGoodSoFar = false
    isWithinFile = false
    guard let safe = try? member.safePath(archive) else {
      findings.extra.append(member.path)
      return
    }
    path = safe
    switch member.kind {
    case .folder, .link: return
    case .hardLink, .other: findings.extra.append(path)
    case .file:
      isWithinFile = true
      try beginFile()
    }
  }

  func data(_ bytes: UnsafeRawBufferPointer) throws {
    check?.update(bytes)
    findings.bytes += UInt64(bytes.count)
    progress(UInt64(bytes.count))
  }

  func end() throws {
    isWithinFile = false
    if let fault = check?.finish() {
      findings.bad.append(.init(path: path, fault: fault))
    } else if isGoodSoFar {
      findings.goodFiles += 1
    }
  }

  func finish(damage: StillError?) -> VerifyFindings {
    let rest = unseen.sorted { $0.bytes.lexicographicallyPrecedes($1.bytes) }
    if let damage {
      findings.damage = damage
      findings.unread = (isWithinFile ? [path] : []) + rest
    } else {
      findings.missing = rest
    }
    return findings
  }

  private func beginFile() throws {
    guard let expected else {
      isGoodSoFar = true
      return
    }
    guard let listed = expected.files[path], unseen.contains(path) else {
      findings.extra.append(path)
      return
    }
    unseen.remove(path)
    check = try FileCheck(listed)
    isGoodSoFar = true
  }
}
