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
  private let wal: ExistingWAL
  /// File systems inside the data directory.
  private let mounts: Set<FilePath>
  private var good = GoodFiles()
  private var removed: UInt64 = 0
  /// What is left to do.
  private(set) var notes: [String] = []

  /// Asks everything that can be asked before the files are read. Changes nothing.
  ///
  /// - Throws: `.precondition` where something is in the way.
  init(
    _ plan: RestorePlan, _ record: BackupRecord, _ manifest: ManifestReader, _ run: Run
  ) throws {
    self.plan = plan
    self.record = record
    self.manifest = manifest
    self.run = run
    guard let existing = try ExistingCluster.find(FilePath(plan.target), of: record) else {
      throw StillError(.precondition, "\(plan.target) has just been emptied")
    }
    self.existing = existing
    let inner = try InnerMounts()
    wal = try ExistingWAL(existing, plan, inner, run.cancellation)
    mounts = try inner.mounts(
      inDataDirectory: existing.folder, sparing: DeltaJob.spared(plan), manifest)
    for space in plan.tablespaces {
      let path = FilePath(space.new).appending(existing.tablespaceFolder.components)
      if let folder = try OpenFolder.openIfPresent(path) { try inner.requireNone(in: folder) }
    }
    try requireLinks()
    for tree in try trees() { _ = try tree.cleaner.count(in: tree.root) }
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

  /// From here on it is no cluster.
  func invalidate() throws {
    try run.cancellation.checkpoint()
    try existing.invalidate(for: plan)
    TestHooks.reached("delta.invalid")
  }

  /// Removes what is not right, and sets the links: then a later attempt finds the same places.
  func clear() throws {
    try setLinks()
    for tree in try trees() { removed += try tree.cleaner.clean(tree.root).files }
    removed += try wal.clear(&notes)
    TestHooks.reached("delta.clear")
  }

  /// The new cluster is whole.
  func end() throws { try existing.forget() }

  /// A failure after which the cluster is neither what it was nor what it shall be.
  func cutShort(_ error: any Error) -> any Error {
    guard var failure = error as? StillError else { return error }
    failure.further.append(
      "\(plan.target) is half restored, and no server starts on it: its control file is "
        + "\(ExistingCluster.replacedControl) until a restore with --force-delta has ended")
    return failure
  }

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
    var base = cleaner(DeltaJob.spared(plan))
    base.mounts = mounts
    var trees = [Tree(archive: "base", root: existing.folder, cleaner: base)]
    for space in plan.tablespaces {
      guard let folder = try? OpenFolder.open(FilePath(space.new)) else { continue }
      // The folders of other clusters and versions beside ours are not ours.
      let others = try folder.names().filter { $0 != existing.tablespaceFolder }
      trees.append(
        Tree(archive: "\(space.oid)", root: folder, cleaner: cleaner(Set(others))))
    }
    return trees
  }

  /// What of the data directory is filled elsewhere, or still needed.
  private static func spared(_ plan: RestorePlan) -> Set<FilePath> {
    let target = FilePath(plan.target).resolvedAsFarAsItIs()
    var spared: Set<FilePath> = ["pg_wal", ExistingCluster.replacedControl]
    for space in plan.tablespaces {
      spared.insert(FilePath("pg_tblspc/\(space.oid)"))
      if let inner = FilePath(space.new).resolvedAsFarAsItIs().relative(to: target) {
        spared.insert(inner)
      }
    }
    return spared
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
    there["pg_wal"] = try wal.count().bytes
    try RestorePlan.requireRoom(plan, record, existing: there)
  }

  /// - Throws: `.precondition` where something else is in the place of a link to a tablespace.
  private func requireLinks() throws {
    guard try existing.folder.metadataIfPresent(of: "pg_tblspc") != nil else { return }
    let links = try existing.folder.folder("pg_tblspc")
    for space in plan.tablespaces {
      let name = FilePath("\(space.oid)")
      guard let old = try links.metadataIfPresent(of: name), old.kind != .link else { continue }
      throw StillError(
        .precondition, "\(links.path.appending(name.components)) is not a link",
        hint: "Move it away; it is a tablespace inside the data directory.")
    }
  }

  private func setLinks() throws {
    if try existing.folder.metadataIfPresent(of: "pg_tblspc") == nil {
      try existing.folder.makeFolder("pg_tblspc", permissions: 0o700)
    }
    let links = try existing.folder.folder("pg_tblspc")
    for space in plan.tablespaces {
      let name = FilePath("\(space.oid)")
      let target = FilePath(space.new)
      if let old = try links.metadataIfPresent(of: name) {
        if try links.target(ofLink: name) == target.bytes, Account.mayChange(whatIsOf: old.owner) {
          continue
        }
        try links.remove(name)
        if let place = existing.tablespaces[space.oid], !place.isSamePlace(as: target) {
          notes.append("tablespace \(space.oid) was at \(place), where its old files still are")
        }
      }
      try links.makeLink(name, to: target.bytes)
    }
    for (oid, place) in existing.tablespaces
    where !plan.tablespaces.contains(where: { $0.oid == oid }) {
      notes.append(
        "tablespace \(oid) at \(place) is not in the backup; its files are still there")
    }
    try links.sync()
  }
}
