import StillModel
import StillSystem
import Synchronization
import SystemPackage

/// What was unpacked, and what of it could not be made as it was.
public struct UnpackSummary: Hashable, Sendable {
  public var files: UInt64 = 0
  public var folders: UInt64 = 0
  public var links: UInt64 = 0
  /// Content of the files.
  public var bytes: UInt64 = 0
  /// Files that were there already, and their content.
  public var keptFiles: UInt64 = 0
  public var keptBytes: UInt64 = 0
  /// Members that belong to the user who unpacked, because the process may not give them to their
  /// owner.
  public var ownersNotKept: UInt64 = 0
  /// Extended attributes and ACLs that the process may not set, or that the file system does not
  /// have: why, one sentence each, of the first ones.
  public private(set) var attributesNotKept: [String] = []
  /// How many more there were.
  public private(set) var moreAttributesNotKept: UInt64 = 0
  /// The archive's checksum is another one, though every file in it is what the manifest says: a byte
  /// of padding, of an index, or a mode or time was changed.
  public var isArchiveChanged = false
  /// Links that were left out.
  public var linksNotMade: [Link] = []

  public struct Link: Hashable, Sendable {
    public var path: FilePath
    /// Where it led to, as it said.
    public var target: FilePath
  }
}

/// How to unpack.
public struct UnpackOptions {
  /// What must be in the archive, and nothing else; nil for archives without a manifest (WAL,
  /// configuration).
  public var expected: ExpectedFiles?
  /// What the archive as a whole has to have.
  public var archiveChecksum: Checksum?
  /// Whether another checksum of the archive is an error, and not just noted. It is where nothing else
  /// says whether the content is right.
  public var refusesChangedArchive = true
  /// Links that become empty folders where they are left out: nothing is lost with what they led to.
  public var foldersForLinks: Set<FilePath> = []
  /// Links that shall say something else than they did: tablespaces that move.
  public var linkTargets: [FilePath: [UInt8]] = [:]
  /// Whether to leave a link out. Where one at the root of the archive was left out, `last` gets no
  /// name.
  public var leavesOutLink: (FilePath) -> Bool
  /// Folders that are left alone with everything in them, for they are filled from elsewhere.
  public var skipped: Set<FilePath> = []
  /// Files that are checked like all others, but not made.
  public var leftOut: Set<FilePath> = []
  /// Whether files and links that are there already are right: they only get their owner, mode and
  /// time. Without this nothing may be there.
  public var keepsExisting = false
  /// Whether folders are made only, and those that are there stay as they are: they may be somebody
  /// else's.
  public var leavesFoldersAlone = false
  /// A file that gets its name only when everything else is on the disk.
  public var last: FilePath?
  public var cancellation: Cancellation?
  /// Called with every number of bytes of content, by several threads; it has to be cheap.
  public var progress: @Sendable (UInt64) -> Void = { _ in }
  /// Threads that do the work.
  public var workers = 2
  public var names = AccountNames()

  public init(
    expected: ExpectedFiles? = nil, leavesOutLink: @escaping (FilePath) -> Bool = { _ in false }
  ) {
    self.expected = expected
    self.leavesOutLink = leavesOutLink
  }
}

/// Copies a part of a mirror into an empty folder, as `unpack(archive:into:_:)` unpacks an archive. Where
/// both are on one file system that can do it, the files share their blocks.
///
/// - Parameters:
///   - elsewhere: folders of it that are no part of it.
///   - apart: what its inodes could not take, by the path in this part.
/// - Throws: as the other does.
public func unpack(
  mirror: OpenFolder, without elsewhere: Set<FilePath> = [],
  apart: [FilePath: BackupRecord.Mirror.Apart] = [:], into folder: OpenFolder,
  _ options: UnpackOptions = UnpackOptions()
) throws -> UnpackSummary {
  let unpacker = try Unpacker(archive: mirror.path, into: folder, options)
  var reader = MirrorReader(
    mirror, without: elsewhere, workers: options.workers, options.cancellation)
  reader.apart = apart
  try reader.read(into: unpacker)
  return try unpacker.finish()
}

/// Unpacks an archive into an empty folder and puts everything on the disk.
///
/// Owners, attributes and ACLs are kept as far as process and file system allow, owners by name where
/// this host knows the name, else by number; the summary says what was not. Nothing outside of `folder` is touched, whatever the archive says: no path may lead out,
/// no link is followed, no existing file is overwritten.
///
/// - Throws: `.copying` for a damaged archive or one with another checksum, for a file whose size or
///   checksum is not what the manifest says, and when something is missing or not expected.
public func unpack(
  archive: OpenFile, into folder: OpenFolder, _ options: UnpackOptions = UnpackOptions()
) throws -> UnpackSummary {
  let unpacker = try Unpacker(archive: archive.path, into: folder, options)
  let reader = try TarReader(
    archive, workers: options.workers, checksum: options.archiveChecksum?.algorithm,
    cancellation: options.cancellation)
  try reader.read(into: unpacker)
  let checksum = options.archiveChecksum
  let isChanged = try checksum.map { try reader.source.checksum() != $0 } ?? false
  if isChanged, options.refusesChangedArchive, let checksum {
    throw archiveWasChanged(archive, checksum.algorithm)
  }
  var summary = try unpacker.finish()
  summary.isArchiveChanged = isChanged
  return summary
}

private final class Unpacker: TarSink {
  private let archive: FilePath
  private let root: OpenFolder
  private let options: UnpackOptions
  private let work: UnpackWork
  private var summary = UnpackSummary()
  private var folders: [(path: FilePath, member: TarMember)] = []
  private var hardLinks: [(path: FilePath, target: FilePath, expected: ManifestFile?)] = []
  /// The folder of the last member; members of one folder mostly stand together.
  private var parent: (path: FilePath, folder: OpenFolder)
  /// A folder on each file system that something is written to: others may be mounted inside.
  private var fileSystems: [DeviceNumber: OpenFolder] = [:]

  init(archive: FilePath, into root: OpenFolder, _ options: UnpackOptions) throws {
    self.archive = archive
    self.root = root
    self.options = options
    parent = (FilePath(""), root)
    work = UnpackWork(archive: archive, options)
    try remember(root)
  }

  private func remember(_ folder: OpenFolder) throws {
    let device = try folder.metadata().device
    if fileSystems[device] == nil { fileSystems[device] = folder }
  }

  func begin(_ member: TarMember) throws -> ArchivedFile? {
    let path = try member.safePath(archive)
    if options.skipped.contains(where: path.starts(with:)), member.kind == .folder { return nil }
    switch member.kind {
    case .folder:
      if options.leavesFoldersAlone { return nil }
      try makeFolder(path)
      folders.append((path, member))
      summary.folders += 1
    case .file:
      let expected = try expect(path)
      if options.leftOut.contains(path) {
        return ArchivedFile(member, expected, to: UnpackedFile(path, member, nil, work))
      }
      let (folder, name) = try place(path)
      if try isThere(name, in: folder) {
        try keep(member, name, in: folder)
        return nil
      }
      let first = path == options.last ? name.waitingName : name
      return ArchivedFile(
        member, expected, to: UnpackedFile(path, member, (folder, first), work))
    case .link(let target):
      guard !options.leavesOutLink(path) else {
        summary.linksNotMade.append(.init(path: path, target: FilePath(bytes: target)))
        if options.foldersForLinks.contains(path) { try makeFolder(path) }
        return nil
      }
      let (folder, name) = try place(path)
      if try !isThere(name, in: folder) {
        try folder.makeLink(name, to: options.linkTargets[path] ?? target)
      }
      try work.restorer.restoreLink(member, name, in: folder, &summary)
      summary.links += 1
    case .hardLink(let target):
      var other = member
      other.path = FilePath(bytes: target)
      try addHardLink(path, to: try other.safePath(archive))
    case .other:
      throw StillError(
        .copying, "\(archive) holds \(path), which is not a file, a folder or a link",
        hint: "pgstill writes nothing else; unpack this archive with tar.")
    }
    return nil
  }

  /// Gives folders their attributes, the inner ones first: what is made in a folder changes its
  /// time, and a folder may forbid writing in it. Then the last file gets its name: what can fail has
  /// been done.
  func finish() throws -> UnpackSummary {
    let missing = try options.expected?.rest() ?? []
    if let first = missing.first {
      let others = missing.count > 1 ? " and \(missing.count - 1) more" : ""
      throw StillError(
        .copying, "\(archive) lacks \(first)\(others), which the manifest lists",
        hint: "Restore from another backup; pgstill verify names every missing file.")
    }
    for (path, target, expected) in hardLinks { try makeHardLink(path, to: target, expected) }
    summary.add(work.summary)
    for (path, member) in folders.reversed() {
      let folder = try root.folder(path)
      try work.restorer.restore(member, folder, &summary)
      if !path.isEmpty { folder.close() }
    }
    for folder in fileSystems.values { try folder.syncFileSystem() }
    try nameLast()
    return summary
  }

  private func isThere(_ name: FilePath, in folder: OpenFolder) throws -> Bool {
    guard options.keepsExisting else { return false }
    return try folder.metadataIfPresent(of: name) != nil
  }

  /// The content is passed over in the archive.
  private func keep(_ member: TarMember, _ name: FilePath, in folder: OpenFolder) throws {
    try work.restorer.restore(member, folder.file(name), &summary)
    summary.keptFiles += 1
    summary.keptBytes += member.size
    work.progress(member.size)
  }

  private func nameLast() throws {
    guard let last = options.last,
      !summary.linksNotMade.contains(where: {
        $0.path.components.count == 1 && !options.foldersForLinks.contains($0.path)
      })
    else { return }
    let (folder, name) = try place(last)
    guard try folder.metadataIfPresent(of: name.waitingName) != nil else { return }
    let before = try folder.metadata()
    try folder.rename(name.waitingName, to: name)
    try folder.setModified(
      seconds: before.modifiedSeconds, nanoseconds: before.modifiedNanoseconds)
    try folder.sync()
  }

  /// What the manifest says of a file; nil where there is none.
  private func expect(_ path: FilePath) throws -> ManifestFile? {
    guard let expected = options.expected else { return nil }
    guard let listed = try expected.take(path) else {
      throw StillError(
        .copying, "\(archive) holds \(path), which the manifest does not list, or holds it twice",
        hint: "Archive and manifest do not belong together, or one of them was changed.")
    }
    return listed
  }

  /// Another name for a file of the archive. That is there only when the threads are done.
  private func addHardLink(_ path: FilePath, to target: FilePath) throws {
    let expected = try expect(path)
    if !options.leftOut.contains(path) { hardLinks.append((path, target, expected)) }
  }

  private func makeHardLink(
    _ path: FilePath, to target: FilePath, _ expected: ManifestFile?
  ) throws {
    let (folder, name) = try place(target)
    let (newFolder, newName) = try place(path)
    if try isThere(newName, in: newFolder) { try newFolder.remove(newName) }
    try folder.makeHardLink(of: name, in: newFolder, newName)
    if let expected { try requireContent(of: newFolder.file(newName), path, expected) }
    summary.files += 1
  }

  private func requireContent(
    of file: OpenFile, _ path: FilePath, _ expected: ManifestFile
  ) throws {
    let checksum = try RunningChecksum(expected.checksum.algorithm)
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
    defer { buffer.deallocate() }
    var size: UInt64 = 0
    while true {
      let count = try file.readSome(into: buffer)
      if count == 0 { break }
      checksum.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
      size += UInt64(count)
    }
    guard size == expected.size, checksum.finish() == expected.checksum else {
      throw work.isNotWhatItWas(path, "it is a link to a file with other content")
    }
  }

  private func makeFolder(_ path: FilePath) throws {
    guard !path.isEmpty else { return }
    let (folder, name) = try place(path)
    if try folder.metadataIfPresent(of: name)?.kind != .folder {
      try folder.makeFolder(name, permissions: 0o700)
    }
  }

  /// The open folder to make `path` in, and the name there. Folders that the archive has no member
  /// for are made.
  private func place(_ path: FilePath) throws -> (OpenFolder, FilePath) {
    guard let (above, last) = path.divided else {
      throw StillError(.copying, "\(archive) holds a file without a name")
    }
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
      try remember(folder)
    }
    return (parent.folder, last)
  }
}

/// What the threads of one unpacking share.
private final class UnpackWork: Sendable {
  let archive: FilePath
  let restorer: AttributeRestorer
  let progress: @Sendable (UInt64) -> Void
  private let state = Mutex(UnpackSummary())

  init(archive: FilePath, _ options: UnpackOptions) {
    self.archive = archive
    restorer = AttributeRestorer(names: options.names)
    progress = options.progress
  }

  var summary: UnpackSummary { state.withLock { $0 } }

  func ended(_ part: UnpackSummary) { state.withLock { $0.add(part) } }

  func isNotWhatItWas(_ path: FilePath, _ fault: String) -> StillError {
    StillError(
      .copying, "\(path) in \(archive) is not what was backed up: \(fault)",
      hint: "Restore from another backup; pgstill verify names every bad file of this one.")
  }
}

/// A file that is made.
private final class UnpackedFile: ContentSink {
  /// A piece of this size is worth telling the disk at once.
  private static let largePiece = 1 << 20

  private let path: FilePath
  private let member: TarMember
  /// Nil for a file that is checked only.
  private let place: (folder: OpenFolder, name: FilePath)?
  private let work: UnpackWork
  private let file = Mutex<OpenFile?>(nil)
  private let isShared = Mutex(false)

  init(
    _ path: FilePath, _ member: TarMember, _ place: (folder: OpenFolder, name: FilePath)?,
    _ work: UnpackWork
  ) {
    self.path = path
    self.member = member
    self.place = place
    self.work = work
  }

  func share(_ source: OpenFile) throws {
    guard let file = try open() else { return }
    let isShared = try file.clone(source, size: member.size)
    self.isShared.withLock { $0 = isShared }
  }

  func put(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws {
    guard let file = try open() else { return }
    if isShared.withLock({ $0 }) { return work.progress(UInt64(bytes.count)) }
    try file.writeAll(bytes, at: offset)
    if bytes.count >= UnpackedFile.largePiece { file.startWriting(offset, bytes.count) }
    work.progress(UInt64(bytes.count))
  }

  func end(_ fault: String?) throws {
    if let fault { throw work.isNotWhatItWas(path, fault) }
    guard let file = try open() else { return }
    // Nothing was written where the holes are; that the file ends in one, nothing said yet.
    if member.sparse != nil { try file.truncate(to: member.size) }
    var part = UnpackSummary()
    try work.restorer.restore(member, file, &part)
    try file.close()
    part.files = 1
    part.bytes = member.storedSize
    work.ended(part)
  }

  /// Made by whoever comes first with a piece.
  private func open() throws -> OpenFile? {
    guard let place else { return nil }
    return try file.withLock { file in
      let opened = try file ?? place.folder.file(place.name, .create(permissions: 0o600))
      file = opened
      return opened
    }
  }
}

extension FilePath {
  /// What the last file is called as long as others are missing.
  fileprivate var waitingName: FilePath { FilePath(string + ".unpacking") }
}

extension UnpackSummary {
  /// Adds what became of another archive, or of another part of this one.
  public mutating func add(_ other: UnpackSummary) {
    files += other.files
    folders += other.folders
    links += other.links
    bytes += other.bytes
    keptFiles += other.keptFiles
    keptBytes += other.keptBytes
    ownersNotKept += other.ownersNotKept
    for why in other.attributesNotKept { addAttributeNotKept(why) }
    moreAttributesNotKept += other.moreAttributesNotKept
    linksNotMade += other.linksNotMade
  }
}

extension UnpackSummary {
  /// How many attributes and ACLs were not kept.
  var lostAttributes: UInt64 { UInt64(attributesNotKept.count) + moreAttributesNotKept }

  /// Where a file system has no attributes, there is one for each file.
  mutating func addAttributeNotKept(_ why: String) {
    if attributesNotKept.count < 10 {
      attributesNotKept.append(why)
    } else {
      moreAttributesNotKept += 1
    }
  }
}
