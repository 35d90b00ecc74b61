import StillModel
import StillPostgres
import StillSystem
import StillTransfer
import StillVolumes
import SystemPackage

extension MigrationPlan {
  /// A plan with what carries it out.
  struct Made {
    let plan: MigrationPlan
    let server: ServerSwitch
    /// Nil where somebody else starts it.
    let newServer: (any NewServer)?
    let files: any TargetFiles
  }

  /// Decides everything that a migration does, and refuses what cannot be done. Changes nothing.
  ///
  /// - Throws: `.precondition` with what stands in the way.
  static func make(
    for request: MigrationRequest, of cluster: LiveCluster, with provider: some SnapshotProvider,
    _ cancellation: Cancellation
  ) throws -> Made {
    try cluster.requireOwnFolders()
    if !request.isRehearsal, !cluster.facts.isStandby {
      try MigrationWord(of: RunID(at: Clock.now())).tryOut(with: cluster.session)
    }
    let server = try cluster.serverSwitch(commands: request.serverCommands, units: provider.units)
    let (files, target): (any TargetFiles, String)
    switch request.target {
    case .folder(let path): (files, target) = (LocalFiles(), path)
    case .ssh(let host, let path):
      let shell = RemoteShell(host: host, words: request.remoteShell)
      try Rsync.requireVersion(on: shell)
      (files, target) = (RemoteFiles(shell: shell), path)
    case .daemon(let host, let port, let module, let path):
      (files, target) = try request.daemon(host, port, module, path)
    }
    let newServer = try request.newServer(of: cluster, server, at: target)
    let (sorting, rebuild) = try request.requireFit(of: cluster) {
      try server.programs(of: cluster.directory)
    }
    let (places, links) = try cluster.places(request, target: target, cancellation)
    try requireApart(places, areHere: files is LocalFiles)
    if !(files is LocalFiles) { for place in places { try RsyncOrder.requirePlain(place.target) } }
    // Of an earlier pass whatever is there is compared; a part that is missing makes no difference.
    let states = try places.map {
      try TargetPlaces.holdsPass($0, cluster.facts.systemIdentifier, files)
    }
    let isResumed = states.contains(true)
    if !isResumed { try requireRoom(places, files) }
    let (volumes, sourceReason) = try request.volumes(
      of: cluster, places, areHere: files is LocalFiles, with: provider)
    let (finalPass, reason) = FinalPass.choose(request, cluster.layout, volumes)
    let plan = MigrationPlan(
      id: RunID(at: Clock.now()), dataDirectory: cluster.layout.dataDirectory.path,
      target: request.target, systemIdentifier: cluster.facts.systemIdentifier, places: places,
      links: links, control: server.control, stopLimit: request.stopTimeout,
      startLine: newServer?.startLine, finalPass: finalPass, finalPassReason: reason,
      mostPasses: request.mostPasses, mostDowntime: request.mostDowntime,
      onOverrun: request.onOverrun, isResumed: isResumed, isRehearsal: request.isRehearsal,
      volumes: volumes, sourceReason: sourceReason, freezeDeadline: request.freezeDeadline,
      extending: request.extending,
      rateLimit: request.rateLimit,
      advice: try cluster.advice(request) + sorting
        + (server.dependants.isEmpty
          ? []
          : [
            "with the old server systemd stops \(server.dependants.joined(separator: ", ")); "
              + "nobody starts them again"
          ]),
      rebuild: rebuild)
    return Made(plan: plan, server: server, newServer: newServer, files: files)
  }

  /// No place may lie in another one, or in a source: a pass would copy itself, or remove it.
  ///
  /// - Parameter areHere: whether the targets are on this host, where their paths can be looked at.
  private static func requireApart(_ places: [Place], areHere: Bool) throws {
    func resolved(_ path: String) -> FilePath {
      guard areHere else { return FilePath(path).lexicallyNormalized() }
      var missing: [FilePath.Component] = []
      var path = FilePath(path)
      while !path.components.isEmpty {
        if let there = try? path.resolved() {
          return missing.reversed().reduce(there) { $0.appending($1) }
        }
        if let last = path.lastComponent { missing.append(last) }
        path.removeLastComponent()
      }
      return path
    }
    let sources = places.map { (place: $0, path: resolved($0.source)) }
    let targets = places.map { (place: $0, path: resolved($0.target)) }
    for (index, target) in targets.enumerated() {
      for source in sources
      where areHere
        && (target.path.starts(with: source.path) || source.path.starts(with: target.path))
      {
        throw StillError(
          .precondition,
          "the target \(target.place.target) and the source \(source.place.source) are not apart",
          hint: source.place.kind == target.place.kind && target.path == source.path
            ? "Give it another place with --tablespace-mapping OLD=NEW, or --wal-dir."
            : "Name a folder that lies in none of the cluster's.")
      }
      for other in targets[(index + 1)...]
      where other.path != target.path.appending("pg_wal") || other.place.kind != .wal {
        guard target.path.starts(with: other.path) || other.path.starts(with: target.path)
        else { continue }
        throw StillError(
          .usage,
          "the targets \(target.place.target) and \(other.place.target) are not apart",
          hint: "Give each tablespace, and WAL, a folder of its own.")
      }
    }
  }

  private static func requireRoom(_ places: [Place], _ files: any TargetFiles) throws {
    var needed: [String: (bytes: UInt64, path: String, free: UInt64)] = [:]
    for place in places {
      let (device, free) = try files.room(at: place.target)
      needed[device] = (
        (needed[device]?.bytes ?? 0) + place.size, needed[device]?.path ?? place.target, free
      )
    }
    for (bytes, path, free) in needed.values where free < bytes {
      throw StillError(
        .precondition,
        "\(path) has room for \(ByteCount.text(free)), but \(ByteCount.text(bytes)) go there",
        hint: "Free some room, or move to another place.")
    }
  }
}

extension FilePath {
  /// The folder at this path, or the nearest one above it that is there.
  func nearestFolder() throws -> OpenFolder {
    var path = self
    while !path.components.isEmpty {
      if let folder = try? OpenFolder.open(path) { return folder }
      path.removeLastComponent()
    }
    return try OpenFolder.open("/")
  }
}

extension FinalPass {
  /// File systems that write a file's time of change themselves, with this host's clock.
  private static let honest: Set<String> = ["ext4", "xfs", "btrfs", "tmpfs", "zfs", "ext3", "ext2"]

  fileprivate static func choose(
    _ request: MigrationRequest, _ layout: ClusterLayout, _ volumes: [BackupPlan.Volume]
  ) -> (FinalPass, String) {
    if let asked = request.finalPass { return (asked, "it was asked for") }
    if let other = layout.fileSystems.first(where: { !honest.contains($0.kind) }) {
      return (.full, "\(other.mountPoint) is \(other.kind), whose times of change prove nothing")
    }
    if !volumes.isEmpty,
      volumes.allSatisfy({
        FrozenPlaces.mappable.contains($0.fileSystem.kind) && $0.snapshotSize > 0
      })
    {
      return (.changed, "the snapshots of the last pass keep a list of what was written since")
    }
    return (.changed, "the kernel writes down when each file was changed last")
  }
}

extension LiveCluster {
  /// Every folder of the cluster that is copied, and the links of the new data directory.
  fileprivate func places(
    _ request: MigrationRequest, target: String, _ cancellation: Cancellation
  ) throws -> (places: [MigrationPlan.Place], links: [MigrationPlan.Link]) {
    var links: [MigrationPlan.Link] = []
    // The server's while it runs; the control file comes last, and makes a cluster of what is there.
    var excluded = [
      "postmaster.pid", "postmaster.opts", "\(MigrationPlan.controlFile)",
      "\(MigrationPlan.controlFile).moved", SourceMarker.name, TargetPlaces.markName,
    ]
    excluded += layout.grafts.map { "\($0.relativePath)/lost+found" }
    var others: [MigrationPlan.Place] = []
    func add(
      _ kind: MigrationPlan.Place.Kind, _ source: String, _ target: String, _ excluded: [String]
    ) throws {
      others.append(
        try MigrationPlan.Place(kind, source, target, excluded: excluded, cancellation))
    }
    let home = FilePath(layout.dataDirectory.path)
    for (old, _) in request.tablespaceMapping
    where !layout.tablespaces.contains(where: { FilePath($0.target) == old }) {
      let known = layout.tablespaces.map(\.target).joined(separator: ", ")
      throw StillError(
        .usage, "the cluster has no tablespace at \(old)",
        hint: known.isEmpty ? "It has no tablespaces." : "It has them at: \(known)")
    }
    for tablespace in layout.tablespaces {
      let new = request.tablespaceMapping.first { $0.old == FilePath(tablespace.target) }?.new
      excluded.append("pg_tblspc/\(tablespace.oid)")
      if let inner = FilePath(tablespace.location.path).relative(to: home) {
        excluded.append(inner.string)
      }
      let target = new ?? FilePath(tablespace.target)
      links.append(.init(path: "pg_tblspc/\(tablespace.oid)", target: target.string))
      try add(
        .tablespace(oid: tablespace.oid),
        "\(tablespace.location.path)/\(directory.tablespaceFolder)",
        target.appending(directory.tablespaceFolder).string, [TargetPlaces.markName])
    }
    let inner = FilePath(target).appending("pg_wal")
    let walFolder = request.walFolder == inner ? nil : request.walFolder
    // A file system of its own, mounted there, is on another snapshot than the data directory.
    let walIsMounted = layout.wal.fileSystem != layout.dataDirectory.fileSystem
    if layout.walIsLinked || walIsMounted || walFolder != nil {
      excluded.append("pg_wal")
      let new = walFolder ?? inner
      if walFolder != nil { links.append(.init(path: "pg_wal", target: new.string)) }
      try add(.wal, layout.wal.path, new.string, [TargetPlaces.markName])
    }
    let data = try MigrationPlan.Place(
      .data, layout.dataDirectory.path, target, excluded: excluded, cancellation)
    // The data directory first: others may lie in it.
    return ([data] + others, links)
  }

  /// What the administrator should know or do.
  fileprivate func advice(_ request: MigrationRequest) throws -> [String] {
    var advice: [String] = []
    let outside = outsideConfiguration()
    if !outside.isEmpty {
      advice.append(
        "configuration lies outside the data directory and does not move: "
          + outside.joined(separator: ", ")
          + "; data_directory there has to become \(request.target) in what starts the new server "
          + "(--target-start-command), not before; and the old one's again in what starts the old one"
      )
    }
    if facts.archiveMode != "off" {
      advice.append(
        "archive_mode is \(facts.archiveMode): a backup's WAL archive goes on with the new server; "
          + "the old one must not archive again")
    }
    let others = try session.others()
    if others.clients > 0 {
      advice.append(
        "\(others.clients) other \(others.clients == 1 ? "client is" : "clients are") connected: the stop "
          + "ends that, and they have to find the new server")
    }
    if !others.readers.isEmpty {
      advice.append(
        "who reads its WAL has to be led to the new server (primary_conninfo, or the subscription): "
          + others.readers.joined(separator: ", "))
    }
    if !others.slots.isEmpty {
      advice.append("replication slots move, too: \(others.slots.joined(separator: ", "))")
    }
    return advice
  }
}

extension MigrationPlan.Place.Kind {
  /// Of what a server makes anew at its start, or brings up to date at its stop, and no backup has.
  private static let others: Set<FilePath> = [
    "pg_wal", "pg_replslot", "pg_subtrans", "pg_notify", "pg_serial", "pg_snapshots", "pg_stat",
  ]

  /// Whether a link at a path, counted from the place, would lead the new server into the old one's files.
  func refuses(linkAt path: FilePath) -> Bool {
    guard self == .data else { return true }
    let first = path.components.first.map { FilePath(root: nil, [$0]) } ?? path
    return ServerFolders.own(linkAt: path) || MigrationPlan.Place.Kind.others.contains(first)
  }
}

extension MigrationPlan.Place {
  fileprivate init(
    _ kind: Kind, _ source: String, _ target: String, excluded: [String],
    _ cancellation: Cancellation
  ) throws {
    // A file system's own, on either side.
    let excluded = excluded + ["lost+found"]
    let survey = try FileSurvey(
      OpenFolder.open(FilePath(source)), excluding: Set(excluded.map { FilePath($0) }),
      isLive: true, refusesLink: kind.refuses(linkAt:), cancellation)
    self.init(
      kind: kind, source: source, target: target, size: survey.bytes, files: survey.files,
      recentFiles: survey.recentFiles, recentSize: survey.recentBytes,
      excluded: excluded)
  }
}
