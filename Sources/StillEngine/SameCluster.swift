import StillModel
import SystemPackage

extension ClusterFolder {
  /// Makes sure that the backups here are of this cluster. Hosts that share a repository may have
  /// clusters of one name, and then `latest` would be somebody else's data.
  ///
  /// - Parameter identifier: the cluster's system identifier.
  /// - Throws: `.precondition` where the newest backup whose record can be read is of another one.
  func requireBackups(of identifier: UInt64) throws {
    for id in try backups().reversed() {
      guard let record = try? backup(id.description).record() else { continue }
      guard record.server.systemIdentifier != identifier else { return }
      throw StillError(
        .precondition,
        "\(path) holds backups of another cluster (system identifier "
          + "\(record.server.systemIdentifier), of \(record.server.dataDirectory); this one has "
          + "\(identifier))",
        hint:
          "Give this one a folder of its own with --cluster NAME; also where it was made anew in "
          + "the other's place (initdb, pg_upgrade), or give the other's backups another name then: "
          + "mv \(path) \(path)-old")
    }
  }
}
