import StillArchive
import StillModel
import StillPostgres
import StillSystem
import StillVolumes
import SystemPackage

/// What a copy came to; with the plan and the freeze it makes the backup's record.
struct CopiedCluster {
  /// Of the last checkpoint.
  var timeline: UInt32
  var online: BackupRecord.Online?
  var wal: BackupRecord.WAL
  var archives: [ArchiveSummary]
  var mirror: BackupRecord.Mirror?
  var manifestSHA256: String
  /// What somebody may miss in the backup, each with the reason.
  var missing: [String]
  var badPages: [BadPages]?
  /// After the last byte was read.
  var fills: [SnapshotFill]
}

/// Copies a cluster that stands still in parts: `base`, one for each tablespace, `pg_wal`, and `config`
/// for what lies outside the data directory; then the manifest. What it returns is proved: the
/// files are those of the cluster, the WAL reaches from the redo point to what was committed before
/// they stood still, and every snapshot was valid after the last byte.
func copy(
  _ source: ClusterSource, of cluster: LiveCluster, _ plan: BackupPlan, _ request: BackupRequest,
  into place: CopyPlace, _ run: Run
) throws -> CopiedCluster {
  if let online = source.online {
    return try online.copy(source, of: cluster, plan, request, into: place, run)
  }
  let parts = try PartSet(in: place, of: cluster, request, run)
  let data = try DataDirectory.inspect(source.folder(plan.layout.dataDirectory))
  try requireSameCluster(data, cluster)
  try requireSameTablespaces(data, plan.layout)
  let walFolder = try source.folder(plan.layout.wal)
  let wal = try FrozenWAL.examine(walFolder, data.control, flushed: source.flushed)
  var trees = try sourceTrees(data, source, plan.layout)
  if cluster.facts.hasDataChecksums {
    // Of a stopped server every page is whole; after a power cut those are that were not written to
    // since the checkpoint which recovery begins at.
    let start = source.server == nil ? data.control.redo : LSN(.max)
    for index in trees.indices {
      trees[index].tree.pageCheck = PageCheck(start: start, data.control)
    }
  }
  let estimate = try SizeEstimate(
    of: trees.map(\.tree),
    beside: UInt64(wal.segments.count) * UInt64(cluster.facts.walSegmentSize), run.observer)
  defer { estimate.end() }

  for (name, tree) in trees { try parts.write(name) { try $0.add(tree) } }
  // Of a stopped server every wrong checksum counts, whatever the page says of itself.
  var end = LSN(0)
  try parts.write("pg_wal", isListed: false) { part in
    let log = WALContent(
      segments: wal.segments, histories: wal.histories, start: wal.redo, data.control)
    let walk = try part.add(log, in: walFolder) { try $1(walFolder.file($0.path)) }
    try requireNoNewTablespace(walk, "just before the freeze")
    if source.server == nil { end = walk.end }
  }
  let badPages = try parts.judgePages(before: end)
  var missing = parts.missing
  if !plan.configuration.isEmpty {
    try parts.write("config", isListed: false) { part in
      missing += try addConfiguration(plan.configuration, to: part)
    }
  }
  let mirror = try parts.endMirror()
  let manifestSHA256 = try parts.endManifest(
    wal.manifestRanges(
      flushed: source.flushed, minimumRecoveryPoint: data.control.minimumRecoveryPoint
    ).map { WALRange(timeline: $0.timeline, start: $0.start, end: $0.end) })

  // After an overflow a snapshot may still show what is in the page cache, so only its state after
  // the last byte was read says whether all of them were of the frozen instant.
  let fills = try source.frozen?.watch.look().map(\.fill) ?? []
  try run.cancellation.checkpoint()
  return CopiedCluster(
    timeline: data.control.timeline,
    wal: .init(wal, checkpoint: data.control.checkpoint, before: source.frozen?.lsnBefore),
    archives: parts.archives, mirror: mirror, manifestSHA256: manifestSHA256, missing: missing,
    badPages: cluster.facts.hasDataChecksums ? badPages : nil, fills: fills)
}

/// The frozen files have to be those that the server serves.
func requireSameCluster(_ data: DataDirectory, _ cluster: LiveCluster) throws {
  guard data.control.systemIdentifier == cluster.facts.systemIdentifier else {
    throw StillError(
      .copying,
      "the frozen data directory belongs to another cluster (system identifier "
        + "\(data.control.systemIdentifier), not \(cluster.facts.systemIdentifier))",
      hint: "Something else is mounted over \(cluster.layout.dataDirectory.path).")
  }
}

/// A tablespace that came or went between the plan and the freeze is not in the set.
private func requireSameTablespaces(_ data: DataDirectory, _ layout: ClusterLayout) throws {
  try requireSameTablespaces(data.folder, layout, "just before the freeze")
}

/// The links of a data directory have to be those that the plan was made for.
///
/// - Parameter when: they may have changed, for the message.
func requireSameTablespaces(
  _ dataDirectory: OpenFolder, _ layout: ClusterLayout, _ when: String
) throws {
  let links = try dataDirectory.folder("pg_tblspc")
  var frozen: [UInt32: String] = [:]
  for name in try links.names() {
    guard let oid = ServerFolders.tablespace(named: name.string),
      try links.metadata(of: name).kind == .link
    else { continue }
    frozen[oid] = FilePath(bytes: try links.target(ofLink: name)).string
  }
  let planned = Dictionary(uniqueKeysWithValues: layout.tablespaces.map { ($0.oid, $0.target) })
  guard frozen == planned else {
    let changed = Set(frozen.keys).union(planned.keys).filter { frozen[$0] != planned[$0] }.sorted()
    throw StillError(
      .copying,
      "tablespaces were created, dropped or moved \(when): "
        + changed.map(String.init).joined(separator: ", "),
      hint: "Run the backup again.")
  }
}

/// The data directory, and each tablespace by its OID.
func sourceTrees(
  _ data: DataDirectory, _ source: ClusterSource, _ layout: ClusterLayout
) throws -> [(name: String, tree: SourceTree)] {
  let exclusions = Exclusions(
    majorVersion: data.majorVersion, isCleanlyShutDown: data.control.state.isShutDown)
  var trees = [(name: "base", tree: try dataTree(data, exclusions, source, layout))]
  trees[0].tree.isReadOnce = source.isReadOnce(layout.dataDirectory)
  for tablespace in layout.tablespaces {
    let kind = SourceTree.Kind.tablespace(
      oid: tablespace.oid, versionFolder: data.tablespaceFolder, exclusions)
    let root = try source.folder(tablespace.location)
    var tree = SourceTree(kind, root: root)
    tree.isReadOnce = source.isReadOnce(tablespace.location)
    trees.append((name: "\(tablespace.oid)", tree: tree))
  }
  return trees
}

private func dataTree(
  _ data: DataDirectory, _ exclusions: Exclusions, _ source: ClusterSource, _ layout: ClusterLayout
) throws -> SourceTree {
  var tree = SourceTree(.dataDirectory(exclusions), root: data.folder)
  for graft in layout.grafts {
    tree.grafts[FilePath(graft.relativePath)] = try source.folder(graft.location)
  }
  let home = FilePath(layout.dataDirectory.path)
  tree.elsewhere = Set(
    layout.tablespaces.compactMap { FilePath($0.location.path).relative(to: home) })
  return tree
}

/// Files of configuration are copied as they are now: they are not on the frozen volumes, or need
/// not be. Their names in the archive are their paths without the leading slash; the server says
/// what it includes as somebody wrote it, with `..` and twice the same.
func addConfiguration(_ files: [String], to part: any PartWriter) throws -> [String] {
  var missing: [String] = []
  var known: Set<FilePath> = []
  for file in files {
    let name = FilePath(root: nil, FilePath(file).lexicallyNormalized().components)
    guard known.insert(name).inserted else { continue }
    do {
      try part.addWhole(try OpenFile.open(FilePath(file).resolved()), as: name)
    } catch let failure as StillError where failure.message.hasPrefix("cannot") {
      missing.append("configuration file \(file): \(failure.message)")
    }
  }
  return missing
}
