import StillModel
import StillSystem
import SystemPackage

/// What was unpacked, and what of it could not be made as it was.
public struct UnpackSummary: Hashable, Sendable {
  public var files: UInt64 = 0
  public var folders: UInt64 = 0
  public var links: UInt64 = 0
  /// Content of the files.
  public var bytes: UInt64 = 0
  /// Members that belong to the user who unpacked, because the process may not give them to their
  /// owner.
  public var ownersNotKept: UInt64 = 0
  /// Extended attributes and ACLs that the process may not set, or that the file system does not
  /// have: why, one sentence each.
  public var attributesNotKept: [String] = []
}

/// How to unpack.
public struct UnpackOptions {
  /// What must be in the archive, and nothing else; nil for archives without a manifest (WAL,
  /// configuration).
  public var expected: ExpectedFiles?
  /// Links that shall say something else than they did: tablespaces that move.
  public var linkTargets: [FilePath: [UInt8]] = [:]
  /// Folders that are left alone with everything in them, for they are filled from elsewhere.
  public var skipped: Set<FilePath> = []
  /// Files that are checked like all others, but not made.
  public var leftOut: Set<FilePath> = []
  public var cancellation: Cancellation?
  /// Called with every number of bytes of content; it has to be cheap.
  public var progress: (UInt64) -> Void = { _ in }
  public var names = AccountNames()

  public init(expected: ExpectedFiles? = nil) { self.expected = expected }
}

/// Unpacks an archive into an empty folder and puts everything on the disk.
///
/// Owners, attributes and ACLs are kept as far as process and file system allow, owners by name where
/// this host knows the name, else by number; the summary says what was not. Nothing outside of `folder` is touched, whatever the archive says: no path may lead out,
/// no link is followed, no existing file is overwritten.
///
/// - Throws: `.copying` for a damaged archive, for a file whose size or checksum is not what the
///   manifest says, and when something is missing or not expected.
public func unpack(
  archive: OpenFile, into folder: OpenFolder, _ options: UnpackOptions = UnpackOptions()
) throws -> UnpackSummary {
  let unpacker = Unpacker(archive: archive.path, into: folder, options)
  try TarReader(archive, cancellation: options.cancellation).read(into: unpacker)
  return try unpacker.finish()
}

private final class Unpacker: TarSink {
  private let archive: FilePath
  private let root: OpenFolder
  private let options: UnpackOptions
  private var summary = UnpackSummary()
  private var missing: Set<FilePath>
  private var folders: [(path: FilePath, member: TarMember)] = []
  /// The folder of the last member; members of one folder mostly stand together.
  private var parent: (path: FilePath, folder: OpenFolder)
  private let restorer: AttributeRestorer

  private var file: OpenFile?
  private var member: TarMember?
  private var path = FilePath("")
  private var check: FileCheck?

  init(archive: FilePath, into root: OpenFolder, _ options: UnpackOptions) {
    self.archive = archive
    self.root = root
    self.options = options
    parent = (FilePath(""), root)
    missing = Set(options.expected?.files.keys.map { $0 } ?? [])
    restorer = AttributeRestorer(names: options.names)
  }

  func begin(_ member: TarMember) throws {
    self.member = member
    path = try member.safePath(archive)
    if options.skipped.contains(where: path.starts(with:)), member.kind == .folder { return }
    switch member.kind {
    case .folder:
      try makeFolder()
      folders.append((path, member))
      summary.folders += 1
    case .file: try beginFile(member)
    case .link(let target):
      let (folder, name) = try place()
      try folder.makeLink(name, to: options.linkTargets[path] ?? target)
      try restorer.restoreLink(member, name, in: folder, &summary)
      summary.links += 1
    case .hardLink, .other:
      throw StillError(
        .copying, "\(archive) holds \(path), which is not a file, a folder or a symbolic link",
        hint: "pgstill writes nothing else; unpack this archive with tar.")
    }
  }

  func data(_ bytes: UnsafeRawBufferPointer) throws {
    try file?.writeAll(bytes)
    check?.update(bytes)
    summary.bytes += UInt64(bytes.count)
    options.progress(UInt64(bytes.count))
  }

  func end() throws {
    guard let member, member.kind == .file else { return }
    if let fault = check?.finish() {
      throw StillError(
        .copying, "\(path) in \(archive) is not what was backed up: \(fault)",
        hint: "Restore from another backup; pgstill verify names every bad file of this one.")
    }
    guard let file else { return }
    self.file = nil
    try restorer.restore(member, file, &summary)
    try file.close()
    summary.files += 1
  }

  /// Gives folders their attributes, the inner ones first: what is made in a folder changes its
  /// time, and a folder may forbid writing in it.
  func finish() throws -> UnpackSummary {
    if let first = missing.min(by: { $0.string < $1.string }) {
      let others = missing.count > 1 ? " and \(missing.count - 1) more" : ""
      throw StillError(
        .copying, "\(archive) lacks \(first)\(others), which the manifest lists",
        hint: "Restore from another backup; pgstill verify names every missing file.")
    }
    for (path, member) in folders.reversed() {
      let folder = try root.folder(path)
      try restorer.restore(member, folder, &summary)
      if !path.isEmpty { folder.close() }
    }
    try root.syncFileSystem()
    return summary
  }

  private func beginFile(_ member: TarMember) throws {
    if let expected = options.expected {
      guard let listed = expected.files[path], missing.remove(path) != nil else {
        throw StillError(
          .copying, "\(archive) holds \(path), which the manifest does not list, or holds it twice",
          hint: "Archive and manifest do not belong together, or one of them was changed.")
      }
      check = try FileCheck(listed)
    }
    if options.leftOut.contains(path) { return }
    let (folder, name) = try place()
    file = try folder.file(name, .create(permissions: 0o600))
  }

  private func makeFolder() throws {
    guard !path.isEmpty else { return }
    let (folder, name) = try place()
    if try folder.metadataIfPresent(of: name)?.kind != .folder {
      try folder.makeFolder(name, permissions: 0o700)
    }
  }

  /// The open folder to make `path` in, and the name there. Folders that the archive has no member
  /// for are made.
  private func place() throws -> (OpenFolder, FilePath) {
    guard let last = path.lastComponent else {
      throw StillError(.copying, "\(archive) holds a file without a name")
    }
    let above = path.removingLastComponent()
    if above != parent.path {
      var folder = root
      for component in above.components {
        let name = FilePath(root: nil, [component])
        if try folder.metadataIfPresent(of: name) == nil {
          try folder.makeFolder(name, permissions: 0o700)
        }
        folder = try folder.folder(name)
      }
      parent = (above, folder)
    }
    return (parent.folder, FilePath(root: nil, [last]))
  }
}
