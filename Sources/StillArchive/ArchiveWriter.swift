import StillModel
import StillSystem
import SystemPackage

/// What was written, for the report and the backup's record.
public struct ArchiveSummary: Hashable, Sendable {
  public var fileName: String
  /// Folders and links included.
  public var members: UInt64
  public var files: UInt64
  /// Content of the files.
  public var bytesRead: UInt64
  /// Size of the archive, compressed.
  public var bytesWritten: UInt64
  public var seconds: Double
  /// Of the archive as it lies there.
  public var checksum: Checksum
}

/// Writes one archive of a backup: trees, single files, and bytes from memory, in the order they are
/// added. The archive appears under its name at once; who is responsible for the folder decides
/// when it counts.
///
/// After an error the archive is of no use; the threads behind it end when the writer is dropped.
public final class ArchiveWriter {
  /// How finely times of modification are kept.
  public enum Times: Sendable {
    /// Exactly; this costs a PAX record for nearly every member.
    case nanoseconds
    /// As pg_basebackup does. Members need PAX records only for attributes, ACLs and long names
    /// then, and without any the archive is one that `pg_verifybackup --format=tar` (PostgreSQL 18)
    /// reads: it refuses PAX records (src/fe_utils/astreamer_tar.c).
    case seconds
  }

  /// The archive's file, its suffix included.
  public let fileName: FilePath
  /// What the trees so far held that is not in the archive.
  public private(set) var remarks: [WalkRemarks] = []
  /// The files so far that have pages without the checksums that stand in them.
  public private(set) var checkedPages: [CheckedPages] = []

  private let folder: OpenFolder
  private let file: OpenFile
  private let tar: TarWriter
  private let checksum: ChecksumAlgorithm
  private let list: (ManifestFile) throws -> Void
  private var underway = FilesUnderway()
  private let openFiles = OpenFileBudget()
  private let names: AccountNames
  private let times: Times
  private let cancellation: Cancellation?
  private let beginning = ContinuousClock.now
  private var files: UInt64 = 0

  /// Makes the file `named` with `.tar` and the compression's suffix; `workers` threads read, check
  /// and compress. `checksum` is that of every file, for the manifest, `archiveChecksum` that of the
  /// archive as a whole. `progress` is called with every number of bytes read, so it has to be cheap;
  /// `list` with every file that belongs into the manifest, in the order of the archive.
  ///
  /// - Throws: also when a file of that name is there.
  public init(
    named name: String, in folder: OpenFolder, compression: Compression, workers: Int,
    checksum: ChecksumAlgorithm, archiveChecksum: ChecksumAlgorithm = .crc32c,
    names: AccountNames = AccountNames(),
    times: Times = .nanoseconds,
    cancellation: Cancellation? = nil, progress: @escaping (UInt64) -> Void = { _ in },
    list: @escaping (ManifestFile) throws -> Void = { _ in }
  ) throws {
    self.folder = folder
    self.names = names
    self.times = times
    self.checksum = checksum
    self.cancellation = cancellation
    self.list = list
    fileName = FilePath(name + ".tar" + compression.fileSuffix)
    file = try folder.file(fileName, .create(permissions: 0o600))
    tar = try TarWriter(
      CopyPipeline(
        output: file, compression: compression, workers: workers, checksum: checksum,
        outputChecksum: archiveChecksum, cancellation: cancellation), progress: progress)
  }

  /// Adds everything of a tree that belongs into a backup.
  @discardableResult
  public func add(_ tree: SourceTree) throws -> WalkRemarks {
    let found = try TreeWalk.run(tree, cancellation: cancellation) { entry in
      try self.add(entry, of: tree)
    }
    remarks.append(found)
    return found
  }

  /// Adds a file under a name; `inManifest` is where the manifest lists it, nil for WAL and other
  /// files that it does not list. `inspect` gets to see every byte on the way, in their order, before
  /// this returns.
  public func add(
    _ source: OpenFile, as path: FilePath, inManifest: FilePath? = nil,
    inspect: ((UnsafeRawBufferPointer) -> Void)? = nil
  ) throws {
    try add(source, as: path, inManifest: inManifest, isFrozen: true, inspect: inspect)
  }

  /// Adds a small file that is read to its end before anything of it is in the archive: after an error
  /// that says "cannot" the archive is as it was.
  public func addWhole(_ source: OpenFile, as path: FilePath) throws {
    var member = TarMember(path: path, kind: .file, try source.metadata())
    complete(&member)
    try addAttributes(of: source, to: &member)
    _ = try tar.add(member, content: source.readAll())
    files += 1
  }

  /// Adds a file from memory, such as `backup_label`. It belongs to the owner of what `like` is of,
  /// to root where that is nil; `modified` counts seconds since 1970.
  public func add(
    _ content: [UInt8], as path: FilePath, mode: UInt32 = 0o600, like: FileMetadata? = nil,
    modified: Int64, inManifest: FilePath? = nil
  ) throws {
    var member = TarMember(path: path, kind: .file, mode: mode)
    member.modifiedSeconds = modified
    if let like {
      (member.owner, member.group) = (like.owner, like.group)
      complete(&member)
    }
    let sum = try tar.add(member, content: content)
    files += 1
    underway.add(inManifest, size: UInt64(content.count), modified: modified, sum)
    try settle()
  }

  /// Adds an empty folder.
  public func addFolder(_ path: FilePath, like metadata: FileMetadata) throws {
    var member = TarMember(path: path, kind: .folder, metadata)
    complete(&member)
    try tar.add(member)
  }

  /// Waits until all content that was added has been read: what happens to live files from then on is
  /// not in the archive.
  public func waitUntilRead() throws { try tar.waitUntilRead() }

  /// Ends the archive and puts it, and its name, on the disk.
  public func finish() throws -> ArchiveSummary {
    let written = try tar.finish()
    try settle()
    guard underway.isEmpty else { throw StillError(.failed, "\(fileName) lacks checksums") }
    try file.close()
    try folder.sync()
    let elapsed = (ContinuousClock.now - beginning).components
    return ArchiveSummary(
      fileName: fileName.string, members: tar.members, files: files, bytesRead: tar.contentBytes,
      bytesWritten: written.bytes,
      seconds: Double(elapsed.seconds) + Double(elapsed.attoseconds) / 1e18,
      checksum: written.checksum)
  }

  private func add(_ entry: TreeEntry, of tree: SourceTree) throws {
    let path = tree.archivePrefix.joining(entry.path)
    switch entry.kind {
    case .folder(let folder):
      var member = TarMember(path: path, kind: .folder, entry.metadata)
      complete(&member)
      if let folder {
        let shown = folder.path.string
        let visible = try folder.visibleAttributes()
        member.attributes = visible.attributes
        if visible.hasAccessList {
          member.accessList = try AccessLists.access(of: folder.descriptor, shown: shown)
        }
        if visible.hasInheritedAccessList {
          member.inheritedAccessList = try AccessLists.inherited(
            of: folder.descriptor, shown: shown)
        }
      }
      try tar.add(member)
    case .link(let target):
      var member = TarMember(path: path, kind: .link(target: target), entry.metadata)
      complete(&member)
      try tar.add(member)
    case .file:
      guard let source = try entry.open(isFrozen: tree.isFrozen) else { return }
      let listed: FilePath? =
        tree.exclusions == nil ? nil : tree.manifestPrefix.joining(entry.path)
      if let rewrite = tree.rewrites[entry.path] {
        // What it says has to be as of after everything before it.
        try waitUntilRead()
        let metadata = try source.metadata()
        let content = try rewrite(try source.readAll())
        try add(
          content, as: path, mode: metadata.mode, like: metadata,
          modified: metadata.modifiedSeconds, inManifest: listed)
        try source.close()
      } else if try addLink(entry, source, as: path, inManifest: listed, of: tree) {
        try source.close()
      } else {
        let inspector = listed.flatMap {
          tree.pageCheck?.inspector(of: $0) { room, offset in
            // A live file that has gone meanwhile needs no page.
            try entry.open(isFrozen: tree.isFrozen)?.readFully(into: room, at: offset) ?? 0
          }
        }
        try add(
          source, as: path, inManifest: listed, isFrozen: tree.isFrozen,
          isReadOnce: tree.isReadOnce, inspector)
      }
    }
  }

  /// Adds another name of a file that is in the archive; false where it is not. Live files may go
  /// and leave their number to others, and the control file gets its name last of all when it is
  /// restored: both are taken for themselves.
  private func addLink(
    _ entry: TreeEntry, _ source: OpenFile, as path: FilePath, inManifest: FilePath?,
    of tree: SourceTree
  ) throws -> Bool {
    let metadata = try source.metadata()
    guard tree.isFrozen, entry.path != TreeWalk.controlPath,
      let identity = LinkedFiles.identity(metadata),
      let first = underway.addLink(
        inManifest, modified: metadata.modifiedSeconds, identity)
    else { return false }
    var member = TarMember(path: path, kind: .hardLink(target: first.bytes), metadata)
    complete(&member)
    try tar.add(member)
    files += 1
    try settle()
    return true
  }

  private func add(
    _ source: OpenFile, as path: FilePath, inManifest: FilePath?, isFrozen: Bool,
    isReadOnce: Bool = false, _ inspector: PageInspector? = nil,
    inspect: ((UnsafeRawBufferPointer) -> Void)? = nil
  ) throws {
    // Of the open file, not of the name: a live one may have been replaced meanwhile.
    let metadata = try source.metadata()
    var member = TarMember(path: path, kind: .file, metadata)
    complete(&member)
    try addAttributes(of: source, to: &member)
    // Who wants to see every byte wants to see the zeros too.
    if inspect == nil { member.sparse = try SparseMap.of(source, metadata) }
    let copied = CopiedFile(
      source, size: member.size, member.sparse, ifChanged: isFrozen ? .refuse : .fit,
      checksum: checksum, isReadOnce: isReadOnce, inspector, budget: openFiles, inspect: inspect)
    try tar.add(member, copied)
    files += 1
    underway.add(
      inManifest, modified: member.modifiedSeconds, copied,
      isFrozen ? LinkedFiles.identity(metadata) : nil, name: path)
    try settle()
  }

  private func addAttributes(of source: OpenFile, to member: inout TarMember) throws {
    let visible = try source.visibleAttributes()
    member.attributes = visible.attributes
    guard visible.hasAccessList else { return }
    member.accessList = try AccessLists.access(
      of: source.descriptor, shown: source.path.string)
  }

  /// Lists the files that have come through.
  private func settle() throws {
    try underway.settle(list: list, pages: { checkedPages.append($0) })
  }

  private func complete(_ member: inout TarMember) {
    if times == .seconds { member.modifiedNanoseconds = 0 }
    member.ownerName = names.user(member.owner)
    member.groupName = names.group(member.group)
  }
}
