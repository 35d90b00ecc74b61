import StillModel
import StillSystem
import StillTransfer
import SystemPackage

/// A repository that backups are copied to, wherever it is, and the folder of one cluster in it.
///
/// What is being copied has a name there that nobody takes for a backup's, as in every repository. Below
/// a daemon's module nothing can be renamed: there it is a backup from the moment that it has a record.
struct RepositoryElsewhere {
  let destination: Destination
  let files: any TargetFiles
  /// As its own host calls it; below a daemon's module, as seen from there.
  let path: FilePath
  let cluster: String
  /// Of this attempt alone: what another one orders, perhaps long ago, does not fit what this one makes.
  private let attempt = String(UInt64.random(in: 0...UInt64.max), radix: 36)

  private static let copyPrefix = ".copy-"
  /// What no repository holds but something else does: a data directory, a backup, the folder of a cluster.
  private static let strangers = ["PG_VERSION", "backup.json", "backup_manifest"]

  /// Looks for it; neither it nor the folder above need be there.
  ///
  /// - Throws: `.precondition` where its host cannot be reached, or its rsync is too old.
  static func find(_ request: ElsewhereRequest, _ rsync: Rsync) throws -> RepositoryElsewhere {
    let files: any TargetFiles
    let path: FilePath
    switch request.destination {
    case .folder(let folder):
      try requireApart(FilePath(folder), from: request.repository)
      (files, path) = (LocalFiles(), FilePath(folder))
    case .ssh(let host, let folder):
      try RsyncOrder.requirePlain(folder)
      let shell = RemoteShell(host: host, words: request.remoteShell)
      try Rsync.requireVersion(on: shell)
      (files, path) = (RemoteFiles(shell: shell), FilePath(folder))
    case .daemon(let host, let port, let module, let folder):
      try RsyncOrder.requirePlain(folder)
      let url = Destination.daemon(host: host, port: port, module: module, path: "").description
      files = DaemonFiles(rsync: rsync, module: url, root: "/")
      path = FilePath("/").pushing(FilePath(folder))
    }
    return RepositoryElsewhere(
      destination: request.destination, files: files, path: path.lexicallyNormalized(),
      cluster: request.cluster)
  }

  var folder: String { path.appending(cluster).string }

  func path(of id: RunID) -> String { path.pushing(FilePath("\(cluster)/\(id)")).string }

  /// Where a backup is until it is whole.
  func pathWhileCopied(_ id: RunID) -> String {
    files.renames
      ? path.pushing(FilePath("\(cluster)/\(partialName(id))-\(attempt)")).string
      : path(of: id)
  }

  /// How the name of each attempt begins.
  private func partialName(_ id: RunID) -> String { "\(RepositoryElsewhere.copyPrefix)\(id)" }

  private func recordPath(_ id: RunID) -> String { "\(path(of: id))/\(BackupFolder.recordName)" }

  /// The names of backups, oldest first; those too that are not whole.
  func backups() throws -> [RunID] { try names().compactMap { RunID($0) }.sorted() }

  /// Copies that broke off, and nobody took up again.
  func brokenCopies() throws -> [String] {
    try names().filter { $0.hasPrefix(RepositoryElsewhere.copyPrefix) }
  }

  private func names() throws -> [String] { try files.names(in: folder) ?? [] }

  /// What a backup says of itself; nil where it is not whole, or its record cannot be read.
  func record(of id: RunID) throws -> BackupRecord? {
    guard let bytes = try files.read(recordPath(id)) else { return nil }
    return try? RecordFile.read(bytes, of: FilePath(recordPath(id)))
  }

  /// What is there of a backup.
  ///
  /// - Parameter ids: those that are there.
  /// - Throws: `.precondition` for one that has its name and is none.
  func state(of id: RunID, among ids: [RunID]) throws -> ElsewherePlan.State {
    if ids.contains(id) {
      if try files.read(recordPath(id)) != nil { return .all }
      guard files.renames else { return .part }
      throw StillError(
        .precondition,
        "\(path(of: id)) is there, on \(files.host), and is no backup: it has no "
          + "backup.json",
        hint: "Move it away over there.")
    }
    return try names().contains { $0.hasPrefix(partialName(id)) } ? .part : .nothing
  }

  /// - Throws: `.precondition` where it can be no repository: it is something else; or the folder that it
  ///   would be made in is missing, as where a disk is not mounted.
  func requireRepository() throws {
    guard let names = try files.names(in: path.string) else {
      let above = path.removingLastComponent()
      guard try files.names(in: above.string) == nil else { return }
      throw StillError(
        .precondition, "on \(files.host) there is no \(above), where the repository would be made",
        hint: "Make that folder first, or mount what belongs there.")
    }
    for folder in [(path.string, names), (self.folder, try self.names())] {
      let isRepository = folder.0 == path.string
      let stranger = folder.1.first {
        RepositoryElsewhere.strangers.contains($0) || (isRepository && RunID($0) != nil)
      }
      guard let stranger else { continue }
      throw StillError(
        .precondition, "\(folder.0), on \(files.host), is no repository: it holds \(stranger)",
        hint: "Name the folder that holds the folders of clusters.")
    }
  }

  /// - Throws: `.precondition` where a backup that is there is of another cluster.
  func require(_ other: BackupRecord, isOf record: BackupRecord) throws {
    guard other.server.systemIdentifier != record.server.systemIdentifier else { return }
    throw StillError(
      .precondition,
      "\(folder), on \(files.host), holds backups of another cluster (system identifier "
        + "\(other.server.systemIdentifier), of \(other.server.dataDirectory); this one has "
        + "\(record.server.systemIdentifier))",
      hint: "Give this one a repository of its own there, or the other's folder another name.")
  }

  /// Makes the folders that a backup goes into, and takes from an earlier attempt what it shares with other
  /// backups: rsync would give such a file, if its owner, mode or time were others by now, the new ones, and
  /// so the other backups (rsync(1), "--link-dest"). It is shared anew.
  func prepare(for id: RunID, _ state: ElsewherePlan.State, _ cancellation: Cancellation) throws {
    try files.makeFolder(path.string, mode: 0o700)
    try files.makeFolder(folder, mode: 0o700)
    guard state == .part, files.renames else { return }
    // From here on it is ours alone: whoever else was at work on it does not find it when he is done.
    guard let earlier = try names().first(where: { $0.hasPrefix(partialName(id)) }) else { return }
    try files.rename("\(folder)/\(earlier)", to: pathWhileCopied(id))
    try files.removeSharedNames(in: pathWhileCopied(id), cancellation)
  }

  /// Makes a backup of what is there, and puts it on the disk before and after.
  ///
  /// - Parameter record: the content of its file, which is there already but for a daemon.
  /// - Returns: what went wrong when it was a backup already.
  func publish(_ id: RunID, record: [UInt8], _ cancellation: Cancellation) throws -> [String] {
    guard files.renames else {
      // It was told to put each file on the disk; this one is the last. Where a file system keeps no order
      // between files, a power cut over there may still leave this one without others.
      try files.write(recordPath(id), record)
      return []
    }
    try files.sync([folder], cancellation)
    TestHooks.reached("elsewhere.synced")
    try files.rename(pathWhileCopied(id), to: path(of: id))
    TestHooks.reached("elsewhere.renamed")
    do { try settle(id, cancellation) } catch {
      return ["latest may not lead to it: \((error as? StillError)?.message ?? "\(error)")"]
    }
    return []
  }

  /// What comes after a backup has its name, and does no harm twice.
  func settle(_ id: RunID, _ cancellation: Cancellation) throws {
    guard files.renames else { return }
    if try backups().last == id {
      try files.makeLink("\(folder)/latest", to: id.description)
    }
    try files.sync([folder], cancellation)
  }

  /// - Throws: `.usage` where a backup's folder there is its folder here, by whatever way it is reached.
  func requireOther(_ id: RunID, than backup: BackupFolder) throws {
    guard let there = try files.identity(of: path(of: id)),
      try there == LocalFiles().identity(of: backup.path.string)
    else { return }
    throw StillError(
      .usage, "\(destination) is the repository that backup \(id) is in",
      hint: "Name another one with --to, best on another host or disk.")
  }

  /// A repository in another one would be taken for a cluster of it, and inside of a cluster it would be a
  /// part of its own backups.
  private static func requireApart(_ path: FilePath, from repository: FilePath) throws {
    let (there, here) = (path.resolvedAsFarAsItIs(), repository.resolvedAsFarAsItIs())
    guard !there.starts(with: here), !here.starts(with: there) else {
      throw StillError(
        .usage, "\(path) and the repository \(repository) are not apart",
        hint: "Name another place with --to, best on another host or disk.")
    }
    var above = there
    while !above.components.isEmpty {
      above.removeLastComponent()
      guard (try? FileMetadata.ifPresent(at: above.appending("PG_VERSION"))) != nil else {
        continue
      }
      throw StillError(
        .precondition, "\(path) lies inside the data directory \(above)",
        hint: "Name a place anywhere else with --to.")
    }
  }
}
