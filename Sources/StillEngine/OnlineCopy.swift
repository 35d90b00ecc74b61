import StillArchive
import StillModel
import StillPostgres
import StillSystem
import StillVolumes
import SystemPackage

extension OnlineBackup {
  /// Copies a cluster whose server writes on: the tablespaces, then the data directory, in it the
  /// control file last; then the end of backup mode, whose label goes into the same archive; then the
  /// log from the start to the stop. In this order a restored server finds all that it needs
  /// (the manual, "Making a Base Backup Using the Low Level API").
  func copy(
    _ source: ClusterSource, of cluster: LiveCluster, _ plan: BackupPlan, _ request: BackupRequest,
    into place: CopyPlace, _ run: Run
  ) throws -> CopiedCluster {
    let parts = try PartSet(in: place, of: cluster, request, run)
    let live = cluster.directory.folder
    let data = try DataDirectory.inspect(source.folder(plan.layout.dataDirectory))
    try requireSameCluster(data, cluster)
    try requireSameTablespaces(data.folder, plan.layout, "just before the copy began")
    let trees = try self.trees(data, source, cluster, plan.layout)
    // How much log there will be nobody knows yet.
    let estimate = try SizeEstimate(
      of: trees.map(\.tree), after: source.frozen == nil ? 2 : 0, run.observer)
    defer { estimate.end() }

    var ending: BackupMode.Ending?
    for (name, tree) in trees {
      try parts.write(name) { part in
        try part.add(tree)
        guard tree.isDataDirectory else { return }
        // The log of the backup ends where its mode does: nothing may be read of the live files after that.
        try part.waitUntilRead()
        TestHooks.reached("copied")
        let ended = try end()
        ending = ended
        try add(
          ended, withMap: parts.hasTablespaceMap, to: part, like: try live.metadata())
      }
    }
    guard let ending else { throw StillError(.failed, "there is no data directory to copy") }
    try requireSameCatalog(cluster)
    try requireSameTablespaces(live, plan.layout, "while they were copied")

    let label = try BackupLabel(ending.label)
    let control = try DataDirectory.readControlFile(live)
    let walFolder = try OpenFolder.open(FilePath(plan.layout.wal.path))
    let wal = try BackupWAL.examine(walFolder, label, stop: ending.stop, control)
    try parts.write("pg_wal", isListed: false) { part in
      let log = WALContent(
        segments: wal.segments, histories: wal.histories, start: wal.start, control)
      let walk = try part.add(log, in: walFolder) { segment, add in
        try add(wal.open(segment))
        try wal.requireThere(segment)
      }
      try requireNoNewTablespace(walk, "while they were copied")
      guard walk.end >= ending.stop else {
        throw StillError(
          .copying, "the log breaks off at \(walk.end), before the stop at \(ending.stop)",
          hint: "Nothing was published. pg_waldump shows what the server can read of it.")
      }
    }
    try endReservation(cluster, run.observer)

    let badPages = try parts.judgePages(before: ending.stop)
    var missing = parts.missing
    if !plan.configuration.isEmpty {
      try parts.write("config", isListed: false) {
        missing += try addConfiguration(plan.configuration, to: $0)
      }
    }
    let mirror = try parts.endMirror()
    let manifestSHA256 = try parts.endManifest(
      wal.ranges.map { WALRange(timeline: $0.timeline, start: $0.start, end: $0.end) })
    let fills = try source.frozen?.watch.look().map(\.fill) ?? []
    try run.cancellation.checkpoint()
    return CopiedCluster(
      timeline: label.timeline,
      online: .init(start: label.start, stop: ending.stop, hadSlot: reservation != nil),
      wal: .init(
        lsnBeforeFreeze: source.frozen?.lsnBefore, redo: label.start, checkpoint: label.checkpoint,
        segmentsKept: wal.segments.map(\.description), segmentsLeftOut: 0),
      archives: parts.archives, mirror: mirror, manifestSHA256: manifestSHA256, missing: missing,
      badPages: cluster.facts.hasDataChecksums ? badPages : nil, fills: fills)
  }

  /// The tablespaces, then the data directory.
  private func trees(
    _ data: DataDirectory, _ source: ClusterSource, _ cluster: LiveCluster, _ layout: ClusterLayout
  ) throws -> [(name: String, tree: SourceTree)] {
    let live = cluster.directory.folder
    let trees = try sourceTrees(data, source, layout).map { name, tree in
      var tree = tree
      let locations =
        tree.isDataDirectory
        ? [layout.dataDirectory] + layout.grafts.map(\.location)
        : layout.tablespaces.filter { "\($0.oid)" == name }.map(\.location)
      tree.isFrozen = locations.allSatisfy(source.isStill)
      if cluster.facts.hasDataChecksums {
        tree.pageCheck = PageCheck(start: mode.start, data.control)
      }
      if tree.isDataDirectory {
        // Always the live one, after everything else: a standby is consistent only from the minimum
        // recovery point on that stands in it, which has to be later than every page of the copy.
        tree.rewrites["global/pg_control"] = { _ in
          try ControlFile.poisoned(DataDirectory.readControlBytes(live))
        }
      }
      return (name, tree)
    }
    return trees.filter { !$0.1.isDataDirectory } + trees.filter { $0.1.isDataDirectory }
  }

  /// The label and the map, if it is wanted, byte for byte; the manifest lists them like every other file.
  private func add(
    _ ending: BackupMode.Ending, withMap: Bool, to part: any PartWriter, like metadata: FileMetadata
  ) throws {
    let now = Clock.now().secondsSince1970
    try part.add(
      ending.label, as: "backup_label", like: metadata, modified: now, inManifest: "backup_label")
    guard withMap, !ending.tablespaceMap.isEmpty else { return }
    try part.add(
      ending.tablespaceMap, as: "tablespace_map", like: metadata, modified: now,
      inManifest: "tablespace_map")
  }

  /// The same question as to the links, to the catalog: a link may be as it was and the tablespace
  /// another one.
  func requireSameCatalog(_ cluster: LiveCluster) throws {
    let before = Dictionary(uniqueKeysWithValues: cluster.facts.tablespaces.map { ($0.oid, $0) })
    let after = Dictionary(
      uniqueKeysWithValues: try cluster.session.tablespaces().map { ($0.oid, $0) })
    let changed = Set(before.keys).union(after.keys).filter {
      before[$0]?.location != after[$0]?.location
    }.sorted()
    guard changed.isEmpty else {
      let names = changed.map { (after[$0] ?? before[$0])?.name ?? "\($0)" }
      throw StillError(
        .copying,
        "tablespaces were created, dropped or moved while they were copied: "
          + names.joined(separator: ", "),
        hint: "Run the backup again.")
    }
  }
}
