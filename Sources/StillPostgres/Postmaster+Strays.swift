import StillModel
import StillSystem
import SystemPackage

extension Postmaster {
  /// Makes sure that no server is at work on files that are about to be replaced: no postmaster, none
  /// that begins to start, and no process that has outlived its postmaster.
  ///
  /// - Parameters:
  ///   - folder: the data directory.
  ///   - others: folders outside of it, of WAL or of a tablespace's own version. A copy of a data
  ///     directory still leads to those of the original.
  ///   - endedInOrder: whether the control file says that the server was shut down.
  /// - Throws: `.precondition` where there is one, or may be.
  public static func requireNone(
    in folder: OpenFolder, orOn others: [OpenFolder], endedInOrder: Bool
  ) throws {
    if let server = try running(in: folder) {
      throw StillError(
        .precondition, "a server is running on \(folder.path) (pid \(server.processID))",
        hint: "Stop it first: pg_ctl -D \(folder.path) stop")
    }
    let own = try folder.metadata().identity
    let used = try others.map { (identity: try $0.metadata().identity, path: $0.path) }
    for name in try OpenFolder.open("/proc").names() {
      guard let id = Int32(name.string), mayBeServer(id) else { continue }
      let places = try ServerPlaces(id, hasEnded: { hasEnded(id) })
      if places.dataDirectory == own {
        throw StillError(
          .precondition, "a server process is at work in \(folder.path) (pid \(id))",
          hint: "It may have outlived its server, or be one that is just starting: end it first.")
      }
      if let shared = used.first(where: { places.others.contains($0.identity) }) {
        throw StillError(
          .precondition,
          "a server of another data directory is at work in \(shared.path) (pid \(id))",
          hint: "Is \(folder.path) a copy of that server's? Give WAL and tablespaces places of "
            + "their own, with --wal-dir and --tablespace-mapping, or stop that server.")
      }
    }
    try requireNoTrace(in: folder, endedInOrder)
  }

  /// A lock file may be that of a server in another container or on another host, whose processes are
  /// not seen here. Only what ended in order has certainly ended.
  private static func requireNoTrace(in folder: OpenFolder, _ endedInOrder: Bool) throws {
    guard let bytes = try lockFile(in: folder) else { return }
    let server = try parse(bytes)
    if endedInOrder, server != nil { return }
    let process = server.map { " (pid \($0.processID))" } ?? ""
    throw StillError(
      .precondition,
      "\(folder.path)/postmaster.pid is there: a server may be running on it, also in a container "
        + "or on another host\(process)",
      hint: "If none runs on it anywhere, remove that file.")
  }

  /// Every process of a server works in its data directory (`ChangeToDataDir`), but so may a shell.
  ///
  /// What another user runs may be hidden. It is no server on files of this user: one starts only on
  /// a data directory of its own user (`checkDataDir`).
  private static func mayBeServer(_ id: Int32) -> Bool {
    let process = RunningProcess(id)
    let program: String?
    if let path = try? process.executable() {
      program = path.lastComponent?.string
    } else {
      guard (try? process.user()) == Account.effectiveUser else { return false }
      program = try? process.name()
    }
    return program == "postgres" || program == "postmaster"
  }
}

/// The folders that a server's process works on.
private struct ServerPlaces {
  /// Nil for a process that has ended meanwhile.
  private(set) var dataDirectory: FileIdentity?
  /// Of its WAL, and of each version in its tablespaces.
  private(set) var others: Set<FileIdentity> = []

  /// - Throws: `.precondition` where that cannot be found out.
  init(_ id: Int32, hasEnded: () -> Bool) throws {
    do {
      let folder = try RunningProcess(id).workingFolder()
      dataDirectory = try folder.metadata().identity
      let root = FilePath("/proc/\(id)/root")
      if let wal = try ServerPlaces.folder("pg_wal", in: folder, root) {
        others.insert(try wal.metadata().identity)
      }
      guard let spaces = try ServerPlaces.folder("pg_tblspc", in: folder, root) else { return }
      for name in try spaces.names() {
        guard let space = try ServerPlaces.folder(name, in: spaces, root) else { continue }
        for version in try space.names() where version.string.hasPrefix("PG_") {
          if let found = try space.metadataIfPresent(of: version) { others.insert(found.identity) }
        }
      }
    } catch {
      if hasEnded() { return }
      throw StillError(
        .precondition,
        "it cannot be told what server process \(id) works on: "
          + ((error as? StillError)?.message ?? "\(error)"),
        hint: "Stop that server, or do this as somebody who may look at its folders.")
    }
  }

  /// Where a name leads, seen by a process whose root may be another than ours; nil where there is
  /// nothing.
  private static func folder(
    _ name: FilePath, in folder: OpenFolder, _ root: FilePath
  ) throws -> OpenFolder? {
    var path = folder.path.appending(name.components)
    switch try folder.metadataIfPresent(of: name)?.kind {
    case .folder: break
    case .link:
      let target = FilePath(bytes: try folder.target(ofLink: name))
      if target.isAbsolute { path = root.appending(target.components) }
    default: return nil
    }
    return try OpenFolder.openIfPresent(path)
  }
}
