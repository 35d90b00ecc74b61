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
    let known: Double?
    let way: String
    switch request.format {
    case .mirror:
      // What an index that is built anew, or a table that is packed, will make of tonight, nobody knows.
      known = earlier?.shareOfLatestMirrors() ?? 1
      way = "in a mirror"
    case .tar:
      known = request.compression == .none ? 1 : earlier?.share(compressedWith: compression)
      way = "with compression \(compression)"
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
        + "\(ByteCount.text(needed)) \(way), and the repository "
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
  /// So many nights tell what the next one may be like.
  private static let nights = 7

  /// The most that one of the latest mirrors had to write of its content, 0…1; nil where none had another
  /// to share with.
  func shareOfLatestMirrors() -> Double? {
    var shares: [Double] = []
    for id in ((try? backups()) ?? []).reversed() where shares.count < ClusterFolder.nights {
      guard let record = try? backup(id.description).record(),
        record.mirror?.sharedWith != nil, record.bytesRead > 0
      else { continue }
      shares.append(Double(record.bytesWritten) / Double(record.bytesRead))
    }
    return shares.max()
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
