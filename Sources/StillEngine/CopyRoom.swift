import StillArchive
import StillModel
import StillPostgres
import StillSystem
import SystemPackage

/// A server that is down until everything is copied is not stopped for a copy that cannot end.
extension BackupPlan {
  /// What is left free for what was not foreseen.
  private static let margin = 1.1
  /// What compression leaves of a cluster that was never backed up; most leave less.
  private static let usualShare = 0.5

  /// Does nothing where nothing is copied while the server is down, or nobody knows how much it is.
  ///
  /// - Throws: `.precondition` with the numbers, where the repository has no room for the copy.
  func requireRoom(_ request: BackupRequest) throws {
    guard let bytes = stopping?.bytesWhileDown else { return }
    let earlier = try? Repository.open(request.repository).cluster(cluster)
    let known: Double? =
      switch request.format {
      case .mirror: earlier?.shareOfLatestMirror() ?? 1.0
      case .tar:
        request.compression == .none ? 1 : earlier?.share(compressedWith: compression)
      }
    let needed = UInt64(Double(bytes) * (known.map { $0 * Self.margin } ?? Self.usualShare))
    let folder =
      try (try? OpenFolder.open(request.repository))
      ?? Repository.parentFolder(of: request.repository)
    let free = try folder.availableBytes()
    guard free < needed else { return }
    throw StillError(
      .precondition,
      "\(ByteCount.text(bytes)) are to be copied while the server is down, about "
        + "\(ByteCount.text(needed)) with compression \(compression), and the repository "
        + "\(request.repository) has room for \(ByteCount.text(free))",
      hint: "Free some room there (a backup that is not needed any more), or use another --repo.")
  }
}

extension ClusterFolder {
  /// What compression left of the latest backup that was made with the same, 0…1.
  fileprivate func share(compressedWith compression: String) -> Double? {
    for id in ((try? backups()) ?? []).reversed() {
      guard let record = try? backup(id.description).record(), record.kind == .tar,
        record.compression == compression, record.bytesRead > 0
      else { continue }
      return Double(record.bytesWritten) / Double(record.bytesRead)
    }
    return nil
  }
}

extension ClusterFolder {
  /// What the latest mirror had to write of its content, 0…1, where it had another to share with.
  fileprivate func shareOfLatestMirror() -> Double? {
    for id in ((try? backups()) ?? []).reversed() {
      guard let record = try? backup(id.description).record(), let mirror = record.mirror,
        record.bytesRead > 0
      else { continue }
      return mirror.sharedWith.map { _ in Double(record.bytesWritten) / Double(record.bytesRead) }
    }
    return nil
  }
}

extension LiveCluster {
  /// About how much there is to copy, in bytes; nil where the role may not ask.
  func sizeToCopy() -> UInt64? {
    guard let size = try? session.sizeOfTablespaces() else { return nil }
    // Of the WAL only the last checkpoint's segment is copied.
    return size + UInt64(facts.walSegmentSize)
  }
}
