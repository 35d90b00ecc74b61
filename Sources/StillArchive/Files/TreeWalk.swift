import StillModel
import StillSystem
import SystemPackage

/// Something that a `TreeWalk` came to.
public struct TreeEntry {
  public enum Kind {
    /// Open, unless it only is to be made: in the backup there is a folder, here is none.
    case folder(OpenFolder?)
    case file
    case link(target: [UInt8])
  }

  /// Counted from the tree's root; empty for the root itself.
  public var path: FilePath
  public var kind: Kind
  public var metadata: FileMetadata
  fileprivate var parent: OpenFolder
  fileprivate var name: FilePath

  /// Opens a file; nil where it has vanished since, which only a live one can.
  public func open(isFrozen: Bool) throws -> OpenFile? {
    do {
      return try parent.file(name)
    } catch {
      if !isFrozen, try parent.metadataIfPresent(of: name) == nil { return nil }
      throw error
    }
  }
}

/// What a walk passed by.
public struct WalkRemarks: Hashable, Sendable {
  public struct LeftOut: Hashable, Sendable {
    public var path: FilePath
    public var reason: String
  }

  /// Symbolic links, kept as links, whose content is not in the backup. Those to tablespaces are
  /// not among them.
  public var links: [FilePath] = []
  /// Sockets, pipes and devices; they are not in the backup.
  public var specialFiles: [FilePath] = []
  /// What the exclusions left out or emptied.
  public var leftOut: [LeftOut] = []

  public init() {}
}

/// Goes through a tree in the order of the bytes of names, each folder before what is in it, and
/// `global/pg_control` last of all, as the server's base backup has it: a copy that was cut short is
/// then never taken for a cluster.
public struct TreeWalk {
  private let tree: SourceTree
  private let cancellation: Cancellation?
  private let visit: (TreeEntry) throws -> Void
  private var remarks = WalkRemarks()
  private var controlFile: TreeEntry?
  private var usedGrafts: Set<FilePath> = []
  private var rootMode: UInt32 = 0o700

  static let controlPath = FilePath("global/pg_control")

  /// Visits every entry of `tree` that belongs into a backup.
  ///
  /// - Throws: what `visit` throws; `.copying` where a data directory has no control file, a
  ///   tablespace lacks its folder, or a mounted file system has no place; `.precondition` for a link in
  ///   the place of the server's own files.
  public static func run(
    _ tree: SourceTree, cancellation: Cancellation? = nil,
    _ visit: @escaping (TreeEntry) throws -> Void
  ) throws -> WalkRemarks {
    var walk = TreeWalk(tree: tree, cancellation: cancellation, visit: visit)
    try walk.run()
    return walk.remarks
  }

  private init(
    tree: SourceTree, cancellation: Cancellation?, visit: @escaping (TreeEntry) throws -> Void
  ) {
    self.tree = tree
    self.cancellation = cancellation
    self.visit = visit
  }

  private mutating func run() throws {
    let metadata = try tree.root.metadata()
    rootMode = metadata.mode
    try visit(
      TreeEntry(
        path: FilePath(""), kind: .folder(tree.root), metadata: metadata, parent: tree.root,
        name: FilePath(".")))
    try walk(tree.root, at: FilePath(""))
    for graft in tree.grafts.keys where !usedGrafts.contains(graft) && !isPassedBy(graft) {
      throw StillError(
        .copying, "\(tree.root.path) has no folder \(graft) for the file system mounted there",
        hint: "The layout of the cluster changed after it was looked at; begin again.")
    }
    guard tree.isDataDirectory else { return }
    // An unmounted or emptied source looks like a folder without files; it must not pass for one.
    guard let controlFile else {
      throw StillError(
        .copying, "\(tree.root.path) holds no global/pg_control",
        hint: "It is not a data directory, or what was mounted there no longer is.")
    }
    try visit(controlFile)
  }

  private func isPassedBy(_ path: FilePath) -> Bool {
    remarks.leftOut.contains { path.starts(with: $0.path) }
      || tree.elsewhere.contains { path.starts(with: $0) }
  }

  private mutating func walk(_ folder: OpenFolder, at path: FilePath) throws {
    try cancellation?.checkpoint()
    let names = try namesToWalk(folder, at: path)
    let rules = tree.exclusions?.inFolder(
      tree.manifestPrefix.appending(path.components), names: names.map(\.bytes))
    for name in names {
      let child = path.joining(name)
      if tree.elsewhere.contains(child) { continue }
      switch rules?.verdict(on: name.bytes) ?? .keep {
      case .leaveOut(let reason):
        remarks.leftOut.append(.init(path: child, reason: reason))
      case .empty(let kept, let reason):
        try makeEmpty(folder, name, at: child, keeping: kept, reason)
      case .keep:
        try enter(folder, name, at: child)
      }
    }
  }

  private func namesToWalk(_ folder: OpenFolder, at path: FilePath) throws -> [FilePath] {
    guard case .tablespace(_, let version, _) = tree.kind, path.isEmpty else {
      return try folder.names()
    }
    let name = FilePath(version)
    guard try folder.metadataIfPresent(of: name)?.kind == .folder else {
      throw StillError(
        .copying, "the tablespace \(folder.path) has no folder \(version)",
        hint: "It belongs to another cluster, or what was mounted there no longer is.")
    }
    return [name]
  }

  private mutating func enter(_ folder: OpenFolder, _ name: FilePath, at path: FilePath) throws {
    guard var metadata = try metadata(of: name, in: folder) else { return }
    var entry = TreeEntry(path: path, kind: .file, metadata: metadata, parent: folder, name: name)
    switch metadata.kind {
    case .file:
      if tree.isDataDirectory, path == TreeWalk.controlPath {
        controlFile = entry
      } else {
        try visit(entry)
      }
    case .folder:
      guard let inner = try openFolder(folder, name, at: path) else { return }
      if tree.grafts[path] != nil { metadata = try inner.metadata() }
      entry.metadata = metadata
      entry.kind = .folder(inner)
      try visit(entry)
      try walk(inner, at: path)
    case .link:
      guard !isInPlaceOfOwnFiles(path) else {
        throw ServerFolders.refusal(of: path, in: tree.root.path)
      }
      entry.kind = .link(target: try folder.target(ofLink: name))
      try visit(entry)
      if !isTablespaceLink(path) { remarks.links.append(path) }
    case .other:
      remarks.specialFiles.append(path)
    }
  }

  /// A folder of the backup that has nothing in it but the empty folders `kept`. A link in its place
  /// becomes a folder with the data directory's mode, as the server does it.
  private mutating func makeEmpty(
    _ folder: OpenFolder, _ name: FilePath, at path: FilePath, keeping kept: [String],
    _ reason: String
  ) throws {
    guard var metadata = try metadata(of: name, in: folder) else { return }
    guard metadata.kind == .folder || metadata.kind == .link else {
      return try enter(folder, name, at: path)
    }
    var inner: OpenFolder?
    if metadata.kind == .link {
      metadata.kind = .folder
      metadata.mode = rootMode
      metadata.size = 0
    } else {
      guard let opened = try openFolder(folder, name, at: path) else { return }
      metadata = try opened.metadata()
      inner = opened
    }
    remarks.leftOut.append(.init(path: path, reason: reason))
    var entry = TreeEntry(
      path: path, kind: .folder(inner), metadata: metadata, parent: folder, name: name)
    try visit(entry)
    entry.kind = .folder(nil)
    entry.metadata.mode = rootMode
    for name in kept {
      entry.path = path.appending(name)
      try visit(entry)
    }
  }

  /// nil where a live file has vanished since its name was read.
  private func metadata(of name: FilePath, in folder: OpenFolder) throws -> FileMetadata? {
    tree.isFrozen ? try folder.metadata(of: name) : try folder.metadataIfPresent(of: name)
  }

  /// nil where a live folder has vanished since.
  private mutating func openFolder(
    _ folder: OpenFolder, _ name: FilePath, at path: FilePath
  ) throws -> OpenFolder? {
    if let graft = tree.grafts[path] {
      usedGrafts.insert(path)
      return graft
    }
    do {
      return try folder.folder(name)
    } catch {
      if !tree.isFrozen, try folder.metadataIfPresent(of: name) == nil { return nil }
      throw error
    }
  }

  /// `pg_tblspc/16402`: what it links to has an archive of its own.
  private func isTablespaceLink(_ path: FilePath) -> Bool {
    tree.isDataDirectory && ServerFolders.tablespace(ofLinkAt: path) != nil
  }

  /// Of a tablespace everything is the cluster's.
  private func isInPlaceOfOwnFiles(_ path: FilePath) -> Bool {
    switch tree.kind {
    case .dataDirectory: ServerFolders.own(linkAt: path)
    case .tablespace: true
    case .other: false
    }
  }
}
