import StillModel
import StillSystem
import SystemPackage

/// The WAL of an existing cluster, which is replaced as a whole.
///
/// Only files, and the folders that a server makes beside them, are WAL. People keep other things
/// there, an archive of WAL above all.
struct ExistingWAL {
  private static let name: FilePath = "pg_wal"
  private static let own: Set<FilePath> = ["archive_status", "summaries"]

  private enum Place { case missing, folder, link }

  private let existing: ExistingCluster
  private let plan: RestorePlan
  private let place: Place
  private let cancellation: Cancellation

  /// - Throws: `.precondition` where there is what would be lost, or cannot be removed.
  init(
    _ existing: ExistingCluster, _ plan: RestorePlan, _ mounts: InnerMounts,
    _ cancellation: Cancellation
  ) throws {
    self.existing = existing
    self.plan = plan
    self.cancellation = cancellation
    switch try existing.folder.metadataIfPresent(of: ExistingWAL.name)?.kind {
    case nil: place = .missing
    case .link: place = .link
    case .folder:
      place = .folder
      let folder = try existing.folder.folder(ExistingWAL.name)
      try requireNothingElse(in: folder)
      if plan.walFolder != nil {
        try mounts.requireNone(in: folder)
        _ = try cleaner(of: folder).count(in: folder)
      }
    default:
      throw StillError(
        .precondition, "\(existing.folder.path)/pg_wal is neither a folder nor a link",
        hint: "Move it away.")
    }
    guard let folder = try folder() else { return }
    for name in ExistingWAL.own where try folder.metadataIfPresent(of: name)?.kind == .folder {
      try mounts.requireNone(in: folder.folder(name))
    }
    _ = try count()
  }

  /// What is going to be removed from where WAL will be.
  func count() throws -> Cleaner.Count {
    guard let folder = try folder() else { return Cleaner.Count() }
    return try cleaner(of: folder).count(in: folder)
  }

  /// - Returns: how many files were removed.
  func clear(_ notes: inout [String]) throws -> UInt64 {
    var removed: UInt64 = 0
    if let path = plan.walFolder.map({ FilePath($0) }) {
      let leadsThere = existing.wal?.isSamePlace(as: path) ?? false
      if place == .link, !leadsThere {
        try existing.folder.remove(ExistingWAL.name)
        if let old = existing.wal {
          notes.append("WAL was at \(old), where its old files still are")
        }
      } else if place == .folder {
        let folder = try existing.folder.folder(ExistingWAL.name)
        removed += try cleaner(of: folder).clean(folder).files
        try existing.folder.removeTree(ExistingWAL.name)
      }
      // At once: a later attempt finds the same place.
      if try existing.folder.metadataIfPresent(of: ExistingWAL.name) == nil {
        try existing.folder.makeLink(ExistingWAL.name, to: path.bytes)
      }
    }
    guard let folder = try folder() else { return removed }
    return try removed + cleaner(of: folder).clean(folder).files
  }

  /// The folder that WAL is going to be in, if it is there.
  private func folder() throws -> OpenFolder? {
    if let path = plan.walFolder { return try OpenFolder.openIfPresent(FilePath(path)) }
    guard place == .folder else { return nil }
    return try existing.folder.folder(ExistingWAL.name)
  }

  private func cleaner(of folder: OpenFolder) throws -> Cleaner {
    Cleaner(
      good: GoodFiles(), spared: Set(try others(in: folder)), cancellation: cancellation)
  }

  private func others(in folder: OpenFolder) throws -> [FilePath] {
    try folder.names().filter {
      try !ExistingWAL.own.contains($0) && folder.metadata(of: $0).kind == .folder
    }
  }

  private func requireNothingElse(in folder: OpenFolder) throws {
    let others = try others(in: folder).filter { $0 != "lost+found" }
    guard let first = others.first else { return }
    throw StillError(
      .precondition, "\(folder.path) holds \(first), which is no WAL",
      hint: "Move it away, so that it is not lost; a server does not use it.")
  }
}
