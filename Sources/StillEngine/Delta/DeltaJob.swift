import StillArchive
import StillModel
import StillSystem
import SystemPackage

/// Makes an existing cluster ready for being unpacked over: what is right stays, all else goes. Nothing
/// is changed before everything is compared.
final class DeltaJob {
  private let plan: RestorePlan
  private let record: BackupRecord
  private let manifest: ManifestReader
  private let run: Run
  private let existing: ExistingCluster
  private let lock: FolderLock
  private var good = GoodFiles()
  private var removed: UInt64 = 0
  /// What is left to do.
  private(set) var notes: [String] = []

  init(
    _ plan: RestorePlan, _ record: BackupRecord, _ manifest: ManifestReader, _ run: Run
  ) throws {
    self.plan = plan
    self.record = record
    self.manifest = manifest
    self.run = run
    // Looked at again with the lock: the plan may be of before.
    guard let lock = try FolderLock.take(OpenFolder.open(FilePath(plan.target))) else {
      throw StillError(
        .busy, "another restore is at work in \(plan.target)", hint: "Wait for it to end.")
    }
    self.lock = lock
    guard let existing = try ExistingCluster.find(FilePath(plan.target), of: record) else {
      throw StillError(.precondition, "\(plan.target) has just been emptied")
    }
    self.existing = existing
  }

  /// Reads what is there. Changes nothing.
  ///
  /// - Throws: `.precondition` where there is no room for what is not right.
  func compare() throws {
    run.observer.expects(bytes: plan.bytes)
    // The control file comes back last, whatever it says now.
    good = try Comparison(
      plan, manifest, passed: plan.leftOut.union([ExistingCluster.control]), run
    ).goodFiles()
    try requireRoom()
  }

  /// Removes what is not right, and sets the links: then a later attempt finds the same places.
  func clear() throws {
    try run.cancellation.checkpoint()
    try existing.invalidate()
    TestHooks.reached("delta.invalid")
    try setLinks()
    for tree in try trees() { removed += try tree.cleaner.clean(tree.root).files }
    try clearWAL()
    TestHooks.reached("delta.clear")
  }

  /// The new cluster is whole.
  func end() throws { try existing.forget() }

  func result(_ job: RestoreJob) -> RestoreResult.Delta {
    RestoreResult.Delta(
      keptFiles: job.keptFiles, keptBytes: job.keptBytes, removedFiles: removed)
  }

  // MARK: Parts

  private struct Tree {
    var archive: String
    var root: OpenFolder
    var cleaner: Cleaner
  }

  private func trees() throws -> [Tree] {
    let target = FilePath(plan.target)
    // Filled elsewhere, or still needed.
    var spared: Set<FilePath> = ["pg_wal", ExistingCluster.replacedControl]
    for space in plan.tablespaces {
      spared.insert(FilePath("pg_tblspc/\(space.oid)"))
      if let inner = FilePath(space.new).relative(to: target) { spared.insert(inner) }
    }
    var trees = [Tree(archive: "base", root: existing.folder, cleaner: cleaner(spared))]
    for space in plan.tablespaces {
      guard let folder = try? OpenFolder.open(FilePath(space.new)) else { continue }
      // The folders of other clusters and versions beside ours are not ours.
      let others = try folder.names().filter { $0 != existing.tablespaceFolder }
      trees.append(
        Tree(archive: "\(space.oid)", root: folder, cleaner: cleaner(Set(others))))
    }
    return trees
  }

  private func cleaner(_ spared: Set<FilePath>) -> Cleaner {
    Cleaner(good: good, spared: spared, cancellation: run.cancellation)
  }

  private func requireRoom() throws {
    var there: [String: UInt64] = [:]
    for tree in try trees() {
      there[tree.archive] =
        try tree.cleaner.count(in: tree.root).bytes
        + (good.bytesOfTree[UInt32(tree.archive)] ?? 0)
    }
    if let wal = try currentWAL() {
      there["pg_wal"] = try Cleaner(good: GoodFiles(), spared: [], cancellation: run.cancellation)
        .count(in: wal).bytes
    }
    try RestorePlan.requireRoom(plan, record, existing: there)
  }

  private func setLinks() throws {
    if try existing.folder.metadataIfPresent(of: "pg_tblspc") == nil {
      try existing.folder.makeFolder("pg_tblspc", permissions: 0o700)
    }
    let links = try existing.folder.folder("pg_tblspc")
    for space in plan.tablespaces {
      let name = FilePath("\(space.oid)")
      let target = FilePath(space.new).bytes
      if let old = try links.metadataIfPresent(of: name) {
        if try old.kind == .link && links.target(ofLink: name) == target { continue }
        guard old.kind == .link else {
          throw StillError(
            .precondition, "\(links.path.appending(name.components)) is not a link",
            hint: "Move it away; it is a tablespace inside the data directory.")
        }
        try links.remove(name)
        if let place = existing.tablespaces[space.oid], place != FilePath(space.new) {
          notes.append("tablespace \(space.oid) was at \(place), where its old files still are")
        }
      }
      try links.makeLink(name, to: target)
    }
    for (oid, place) in existing.tablespaces
    where !plan.tablespaces.contains(where: { $0.oid == oid }) {
      notes.append(
        "tablespace \(oid) at \(place) is not in the backup; its files are still there")
    }
    try links.sync()
  }

  /// The folder that WAL is in now, as far as it is where it shall be.
  private func currentWAL() throws -> OpenFolder? {
    if let path = plan.walFolder { return try? OpenFolder.open(FilePath(path)) }
    return try? existing.folder.folder("pg_wal")
  }

  /// WAL is replaced as a whole.
  private func clearWAL() throws {
    let name: FilePath = "pg_wal"
    let isLink = try existing.folder.metadataIfPresent(of: name)?.kind == .link
    if let path = plan.walFolder, try existing.folder.metadataIfPresent(of: name) != nil {
      // Set anew where it leads elsewhere, or is a folder.
      if try !isLink || existing.folder.target(ofLink: name) != FilePath(path).bytes {
        if isLink {
          try existing.folder.remove(name)
          if let old = existing.wal, old != FilePath(path) {
            notes.append("WAL was at \(old), where its old files still are")
          }
        } else {
          try existing.folder.removeTree(name)
        }
      }
    }
    guard let wal = try currentWAL() else { return }
    removed += try Cleaner(good: GoodFiles(), spared: [], cancellation: run.cancellation)
      .clean(wal).files
  }
}
