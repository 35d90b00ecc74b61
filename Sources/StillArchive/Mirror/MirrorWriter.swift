import StillModel
import StillSystem
import SystemPackage

/// Writes one part of a mirror.
public final class MirrorWriter: PartWriter {
  public private(set) var remarks: [WalkRemarks] = []
  public private(set) var checkedPages: [CheckedPages] = []

  /// Files of which it is not known yet what came of them; each keeps its folder open.
  private static let mostUnderway = 256

  private let name: String
  private let folder: FilePath
  private let tree: MirrorTree
  private let checksum: ChecksumAlgorithm
  /// Nil for a part that the manifest says nothing of.
  private let list: ((ManifestFile) throws -> Void)?
  private var underway = FilesUnderway()
  private var part: BackupRecord.Mirror.Part
  private var folders: Set<FilePath> = []

  /// - Parameters:
  ///   - checksum: that of every file.
  ///   - list: called with every file that belongs into the manifest, in the order of the tree; nil
  ///     where none does, and the record lists them.
  public init(
    named name: String, in tree: MirrorTree, checksum: ChecksumAlgorithm,
    list: ((ManifestFile) throws -> Void)?
  ) throws {
    self.name = name
    self.tree = tree
    self.checksum = checksum
    self.list = list
    folder = MirrorPart.folder(of: name)
    part = .init(name: name, files: 0, bytes: 0, folders: [], links: [], unlisted: [])
    _ = try tree.makeFolder(folder)
  }

  @discardableResult
  public func add(_ source: SourceTree) throws -> WalkRemarks {
    let found = try TreeWalk.run(source, cancellation: tree.cancellation) { entry in
      try self.add(entry, of: source)
    }
    remarks.append(found)
    return found
  }

  public func add(
    _ source: OpenFile, as path: FilePath, inManifest: FilePath?,
    inspect: ((UnsafeRawBufferPointer) -> Void)?
  ) throws {
    let rules = tree.rules(checksum, isFrozen: true, isReadOnce: false)
    let file = try underway(source, as: path, inManifest, rules, inspector: { nil }, inspect)
    // By this thread, for whoever wants to see it wants to have seen it.
    try file.copy(tree.tools)
    try settle()
  }

  public func addWhole(_ source: OpenFile, as path: FilePath) throws {
    var member = TarMember(path: path, kind: .file, try source.metadata())
    try member.takeAttributes(of: source)
    let content = try source.readAll()
    do { try write(content, member, inManifest: nil) } catch var failure as StillError {
      // No excuse for leaving it out: it is the backup that cannot be written.
      failure.message = "the mirror's \(path): " + failure.message
      throw failure
    }
  }

  public func waitUntilRead() throws { try tree.crew.drain() }

  public func add(
    _ content: [UInt8], as path: FilePath, mode: UInt32, like: FileMetadata?, modified: Int64,
    inManifest: FilePath?
  ) throws {
    var member = TarMember(path: path, kind: .file, mode: mode)
    member.modifiedSeconds = modified
    if let like { (member.owner, member.group) = (like.owner, like.group) }
    try write(content, member, inManifest: inManifest)
  }

  public func addFolder(_ path: FilePath, like metadata: FileMetadata) throws {
    try add(TarMember(path: path, kind: .folder, metadata))
  }

  /// Waits until everything of this part is written.
  public func finish() throws -> BackupRecord.Mirror.Part {
    try tree.crew.drain()
    try settle()
    guard underway.isEmpty else { throw StillError(.failed, "\(name) lacks checksums") }
    part.folders = folders.sorted { $0.bytes.lexicographicallyPrecedes($1.bytes) }
      .map(RecordedPath.init)
    return part
  }

  private func add(_ entry: TreeEntry, of source: SourceTree) throws {
    let path = source.archivePrefix.joining(entry.path)
    switch entry.kind {
    case .folder(let folder):
      var member = TarMember(path: path, kind: .folder, entry.metadata)
      if let folder { try member.takeAttributes(of: folder) }
      try add(member)
    case .link(let target):
      try add(TarMember(path: path, kind: .link(target: target), entry.metadata), of: source)
    case .file:
      guard let file = try entry.open(isFrozen: source.isFrozen) else { return }
      let listed: FilePath? =
        source.exclusions == nil ? nil : source.manifestPrefix.joining(entry.path)
      if let rewrite = source.rewrites[entry.path] {
        // What it says has to be as of after everything before it.
        try waitUntilRead()
        let metadata = try file.metadata()
        let content = try rewrite(try file.readAll())
        try write(
          content, TarMember(path: path, kind: .file, metadata), inManifest: listed)
        return try file.close()
      }
      let inspector = {
        listed.flatMap {
          source.pageCheck?.inspector(of: $0) { room, offset in
            // A live file that has gone meanwhile needs no page.
            try entry.open(isFrozen: source.isFrozen)?.readFully(into: room, at: offset) ?? 0
          }
        }
      }
      let rules = tree.rules(checksum, isFrozen: source.isFrozen, isReadOnce: source.isReadOnce)
      let copied = try underway(file, as: path, listed, rules, inspector: inspector)
      try tree.crew.give { try copied.copy($0) }
      // Behind one that is slow, others must not gather without end.
      if underway.count >= MirrorWriter.mostUnderway { try tree.crew.drain() }
      try settle()
    }
  }

  private func add(_ member: TarMember) throws {
    let path = folder.joining(member.path)
    for made in try tree.makeFolder(path) {
      if let inner = made.relative(to: folder), !inner.isEmpty { folders.insert(inner) }
    }
    if !member.path.isEmpty { folders.insert(member.path) }
    tree.remember(path, member)
  }

  private func add(_ link: TarMember, of source: SourceTree) throws {
    guard case .link(var target) = link.kind else { return }
    if source.isDataDirectory, let oid = ServerFolders.tablespace(ofLinkAt: link.path) {
      target = MirrorPart.target(ofTablespace: oid).bytes
    }
    let path = folder.joining(link.path)
    let place = try tree.placeForWriting(path)
    try place.folder.makeLink(place.name, to: target)
    var summary = UnpackSummary()
    try tree.restorer.restoreLink(link, place.name, in: place.folder, &summary)
    tree.add(.init(), summary)
    tree.noteApart(
      link, at: path, try place.folder.metadata(of: place.name), hasAttributes: true)
    part.links.append(
      .init(path: .init(link.path), target: .init(FilePath(bytes: target))))
  }

  /// Announces a file; whoever copies it is up to the caller.
  private func underway(
    _ source: OpenFile, as path: FilePath, _ listed: FilePath?, _ rules: MirroredFile.Rules,
    inspector: @escaping () -> PageInspector?, _ inspect: ((UnsafeRawBufferPointer) -> Void)? = nil
  ) throws -> MirroredFile {
    // Of the open file, not of the name: a live one may have been replaced meanwhile.
    let metadata = try source.metadata()
    var member = TarMember(path: path, kind: .file, metadata)
    try member.takeAttributes(of: source)
    let isSparse = try SparseMap.of(source, metadata) != nil
    let file = MirroredFile(
      source, member, at: folder.joining(path), try placeMaking(path), rules, isSparse: isSparse,
      inspector, inspect: inspect)
    underway.add(listed ?? path, modified: member.modifiedSeconds, file, name: path)
    count(member.size)
    return file
  }

  private func write(_ content: [UInt8], _ member: TarMember, inManifest: FilePath?) throws {
    let place = try placeMaking(member.path)
    let file = try place.folder.file(place.name, .create(permissions: 0o600))
    try file.writeAll(content)
    var (sharing, summary) = (BackupRecord.Mirror.Sharing(), UnpackSummary())
    try tree.restorer.restore(member, file, &summary)
    tree.noteApart(
      member, at: folder.joining(member.path), try file.metadata(),
      hasAttributes: summary.lostAttributes == 0)
    try file.close()
    sharing.written = UInt64(content.count)
    tree.add(sharing, summary)
    let checksum = try content.withUnsafeBytes { try tree.tools.checksums.of($0, self.checksum) }
    underway.add(
      inManifest ?? member.path, size: UInt64(content.count), modified: member.modifiedSeconds,
      checksum)
    count(UInt64(content.count))
    tree.progress(UInt64(content.count))
    try settle()
  }

  private func placeMaking(_ path: FilePath) throws -> MirrorPlace {
    if let above = path.divided?.folder, !above.isEmpty, !folders.contains(above) {
      for made in try tree.makeFolder(folder.joining(above)) {
        if let inner = made.relative(to: folder), !inner.isEmpty { folders.insert(inner) }
      }
    }
    return try tree.placeForWriting(folder.joining(path))
  }

  private func count(_ size: UInt64) {
    part.files += 1
    part.bytes += size
  }

  /// Lists the files that have come through.
  private func settle() throws {
    try underway.settle(
      list: { file in
        if let list { return try list(file) }
        part.unlisted.append(
          .init(path: .init(file.path), size: file.size, checksum: file.checksum.labelled))
      }, pages: { checkedPages.append($0) })
  }
}
