import StillArchive
import StillModel
import StillSystem
import SystemPackage

/// What the caller wants of a restore.
public struct RestoreRequest: Sendable {
  /// The data directory to be made; absolute.
  public var target: FilePath
  /// Where tablespaces go that shall not go back to where they were: old path to new path.
  public var tablespaceMapping: [(old: FilePath, new: FilePath)] = []
  /// Where WAL goes, if it shall not lie in the data directory.
  public var walFolder: FilePath?
  /// Where the files of configuration go that lay outside the data directory; nil leaves them in
  /// their archive.
  public var configurationFolder: FilePath?

  /// The repository, which nothing may be restored into: it would be taken for backups. Nil where
  /// that does not matter, as for a proof, which removes what it made.
  public var repository: FilePath?

  /// Threads that decompress, check and write.
  public var workers: Int

  /// Whether an existing data directory of the same cluster is brought to the backup's state, by
  /// rewriting only what differs.
  public var forcesDelta = false

  public init(target: FilePath, workers: Int) {
    self.target = target
    self.workers = workers
  }
}

/// What a restore is going to do.
public struct RestorePlan: Hashable, Sendable, Codable {
  public struct Tablespace: Hashable, Sendable, Codable {
    public var oid: UInt32
    public var old: String
    public var new: String
  }

  public var id: RunID
  public var target: String
  public var tablespaces: [Tablespace]
  public var walFolder: String?
  public var configurationFolder: String?
  /// Content of all files, in bytes.
  public var bytes: UInt64
  public var workers: Int
  /// Whether the target is a data directory already, of which is kept what is right.
  public var isDelta: Bool
  /// Folders outside of the target that are there already, and in which the same is done.
  public var cleaned: [String]

  /// Decides where everything goes. Changes nothing.
  ///
  /// - Throws: `.usage` for a mapping of a tablespace that the backup does not have, and for places
  ///   that cannot be had together; `.precondition` for a folder that is not empty, that is in use or
  ///   cannot be had, or too little room.
  static func make(for request: RestoreRequest, of backup: BackupFolder, _ record: BackupRecord)
    throws -> RestorePlan
  {
    try requireMapped(request.tablespaceMapping, record)
    if request.forcesDelta, record.kind == .mirror {
      throw StillError(
        .precondition, "backup \(record.id) is a mirror, which is restored to an empty place only",
        hint: "Restore it without --force-delta, or use another backup.")
    }
    let existing =
      request.forcesDelta ? try ExistingCluster.find(request.target, of: record) : nil
    var plan = RestorePlan(
      id: record.id, target: request.target.string,
      tablespaces: record.tablespaces.map { entry in
        let new = request.tablespaceMapping.first { $0.old == FilePath(entry.target) }?.new
        return Tablespace(
          oid: entry.oid, old: entry.target, new: (new ?? FilePath(entry.target)).string)
      },
      walFolder: (request.walFolder ?? existing?.wal)?.string,
      configurationFolder: request.configurationFolder?.string, bytes: record.bytesRead,
      workers: request.workers, isDelta: existing != nil, cleaned: [])
    try plan.requireDistinct()
    try plan.requireApart(from: backup, request.repository, existing)
    if let existing {
      plan.cleaned = try existing.foldersElsewhere(plan).map(\.path.string)
      try existing.requireUnused(by: plan)
    }
    let filled = plan.folders(of: existing)
    for folder in plan.folders where !filled.contains(folder) { try requireEmpty(folder, plan) }
    try plan.requireMakeable(record)
    // How much has to be written is known only when the files were compared.
    if existing == nil { try requireRoom(plan, record) }
    return plan
  }

  /// Files of the data directory that are not made.
  ///
  /// A server that finds a tablespace map makes every link anew, to where it led in the old cluster
  /// (read_tablespace_map of xlogrecovery.c); links of tablespaces that moved are right as they are.
  var leftOut: Set<FilePath> {
    tablespaces.contains { $0.new != $0.old } ? ["tablespace_map"] : []
  }

  /// Every folder that is filled; each has to be missing or empty.
  var folders: [FilePath] {
    ([target] + tablespaces.map(\.new) + (walFolder.map { [$0] } ?? [])).map { FilePath($0) }
  }

  /// Those of them that the existing cluster fills: its data directory, and where its links lead.
  private func folders(of existing: ExistingCluster?) -> Set<FilePath> {
    guard let existing else { return [] }
    var filled: Set<FilePath> = [FilePath(target)]
    for tablespace in tablespaces
    where existing.tablespaces[tablespace.oid].map({ $0.isSamePlace(as: FilePath(tablespace.new)) })
      ?? false
    {
      filled.insert(FilePath(tablespace.new))
    }
    if let walFolder, let wal = existing.wal, wal.isSamePlace(as: FilePath(walFolder)) {
      filled.insert(FilePath(walFolder))
    }
    return filled
  }

  private static func requireEmpty(_ path: FilePath, _ plan: RestorePlan) throws {
    guard let folder = try? OpenFolder.open(path) else { return }
    // A file system's own folder is no content.
    let names = try folder.names().filter { $0 != "lost+found" }
    guard let first = names.first else { return }
    let tablespace = plan.tablespaces.first { FilePath($0.new) == path }
    throw StillError(
      .precondition,
      (tablespace.map { "the place of tablespace \($0.oid), \(path)," } ?? "the target \(path)")
        + " is not empty: it holds \(first)",
      hint: tablespace.map { "Give it another place with --tablespace-mapping \($0.old)=NEW." }
        ?? "Name a folder that is missing or empty.")
  }

  /// The archives' contents on the file systems that they go to; several may share one.
  ///
  /// - Parameter existing: content that is there already, or is removed first, by archive.
  static func requireRoom(
    _ plan: RestorePlan, _ record: BackupRecord, existing: [String: UInt64] = [:]
  ) throws {
    var needed: [DeviceNumber: (bytes: UInt64, path: FilePath, free: UInt64)] = [:]
    func add(_ archive: String, _ path: FilePath) throws {
      let bytes = record.bytes(ofPart: archive)
      let there = existing[archive] ?? 0
      let folder = try OpenFolder.open(path.deepestThere())
      let device = try folder.metadata().device
      let before = needed[device]
      needed[device] = (
        (before?.bytes ?? 0) + (bytes > there ? bytes - there : 0), before?.path ?? path,
        try folder.availableBytes()
      )
    }
    try add("base", FilePath(plan.target))
    try add("pg_wal", FilePath(plan.walFolder ?? plan.target))
    for tablespace in plan.tablespaces { try add("\(tablespace.oid)", FilePath(tablespace.new)) }
    for (bytes, path, free) in needed.values where free < bytes {
      throw StillError(
        .precondition,
        "\(path) has room for \(ByteCount.text(free)), but \(ByteCount.text(bytes)) go there",
        hint: "Free some room, or restore to another place.")
    }
  }
}
