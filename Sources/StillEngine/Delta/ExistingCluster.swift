import StillModel
import StillPostgres
import StillSystem
import SystemPackage

/// The data directory that a restore brings to the state of a backup.
///
/// For as long as it is neither the old nor the new one, its control file has another name, so that no
/// server starts on it; and that file still says whose folder it is, for the next attempt.
struct ExistingCluster {
  static let replacedControl: FilePath = "global/pg_control.replaced"
  static let control: FilePath = "global/pg_control"

  let folder: OpenFolder
  /// `PG_15_202209061`: the folder in each tablespace that is this cluster's.
  let tablespaceFolder: FilePath
  /// Where the links in `pg_tblspc` lead, by OID.
  let tablespaces: [UInt32: FilePath]
  /// Where `pg_wal` leads, if it is a link.
  let wal: FilePath?

  /// Examines a target; nil where it is missing or empty.
  ///
  /// - Throws: `.precondition` where it is anything but a data directory of the backup's cluster.
  static func find(_ path: FilePath, of record: BackupRecord) throws -> ExistingCluster? {
    guard let folder = try? OpenFolder.open(path),
      try folder.names().contains(where: { $0 != "lost+found" })
    else { return nil }
    let control: ControlFile
    do {
      guard let found = try readControl(in: folder) else {
        throw StillError(
          .precondition, "the target \(path) is not empty and not a data directory",
          hint: "Name the cluster's data directory, or a folder that is missing or empty.")
      }
      control = found
    } catch let failure as StillError where failure.status != .precondition {
      throw StillError(
        .precondition, "whose data directory \(path) is cannot be told: \(failure.message)",
        hint: "Restore to an empty folder.")
    }
    guard control.systemIdentifier == record.server.systemIdentifier else {
      throw StillError(
        .precondition,
        "\(path) belongs to another cluster (system identifier \(control.systemIdentifier), the "
          + "backup's is \(record.server.systemIdentifier))",
        hint: "Name the data directory of the cluster that was backed up, or an empty folder.")
    }
    return ExistingCluster(
      folder: folder,
      tablespaceFolder: FilePath(
        control.tablespaceFolder(major: record.server.version / 10000)),
      tablespaces: try links(folder), wal: try link("pg_wal", in: folder))
  }

  /// The folders outside of the target that a plan changes, as far as they are there: of WAL, and the
  /// cluster's own in each tablespace.
  func foldersElsewhere(_ plan: RestorePlan) throws -> [OpenFolder] {
    let own = plan.tablespaces.map { FilePath($0.new).appending(tablespaceFolder.components) }
    let wal = plan.walFolder.map { [FilePath($0)] } ?? []
    return try (own + wal).compactMap { try OpenFolder.openIfPresent($0) }
  }

  /// Makes sure that no server works on anything that a plan changes.
  ///
  /// - Throws: `.precondition` where one does, or may.
  func requireUnused(by plan: RestorePlan) throws {
    let control = try ExistingCluster.readControl(in: folder)
    try Postmaster.requireNone(
      in: folder, orOn: foldersElsewhere(plan),
      endedInOrder: control?.state.isShutDown ?? false)
  }

  /// Takes the control file away. A server reads it right after it has made its lock file
  /// (`PostmasterMain`), so one that was just starting is seen now, or finds nothing.
  func invalidate(for plan: RestorePlan) throws {
    // One that runs must not be without it for a moment: it writes to it at each checkpoint, and
    // panics where it cannot (`update_controlfile`).
    try requireUnused(by: plan)
    let global = try folder.folder("global")
    guard try global.metadataIfPresent(of: "pg_control") != nil else { return }
    try global.rename("pg_control", to: "pg_control.replaced")
    do {
      try global.sync()
      try requireUnused(by: plan)
    } catch {
      try global.rename("pg_control.replaced", to: "pg_control")
      throw error
    }
  }

  /// Once there is a control file again.
  func forget() throws {
    let global = try folder.folder("global")
    guard try global.metadataIfPresent(of: "pg_control.replaced") != nil else { return }
    let before = try global.metadata()
    try global.remove("pg_control.replaced")
    try global.setModified(
      seconds: before.modifiedSeconds, nanoseconds: before.modifiedNanoseconds)
  }

  /// Nil where there is none, under either name.
  private static func readControl(in folder: OpenFolder) throws -> ControlFile? {
    for name in [control, replacedControl] where try folder.metadataIfPresent(of: name) != nil {
      return try ControlFile(bytes: folder.file(name).readAll(limit: 64 << 10))
    }
    return nil
  }

  private static func links(_ folder: OpenFolder) throws -> [UInt32: FilePath] {
    guard let spaces = try? folder.folder("pg_tblspc") else { return [:] }
    var links: [UInt32: FilePath] = [:]
    for name in try spaces.names() {
      if let oid = UInt32(name.string) { links[oid] = try link(name, in: spaces) }
    }
    return links
  }

  private static func link(_ name: FilePath, in folder: OpenFolder) throws -> FilePath? {
    guard try folder.metadataIfPresent(of: name)?.kind == .link else { return nil }
    let target = FilePath(bytes: try folder.target(ofLink: name))
    if target.isAbsolute { return target }
    // As the kernel goes: from the folder itself, wherever a link in its own path has led.
    let path = try folder.path.resolved().pushing(target)
    return (try? path.resolved()) ?? path
  }
}
