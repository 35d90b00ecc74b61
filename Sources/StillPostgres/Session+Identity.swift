import StillModel
import StillSystem

extension Session {
  /// Makes sure that this server serves the cluster in `directory`, and not, say, another one of the
  /// same host that PGPORT leads to.
  ///
  /// The system identifier alone does not tell: a standby, or a copy, has the same. So the server's
  /// data directory has to be the same folder, by device and inode where it can be opened, which
  /// holds through bind mounts and links, else by its path.
  ///
  /// - Throws: `.precondition` where they differ.
  public func requireServing(_ directory: DataDirectory) throws {
    let row = try query(
      """
      SELECT pg_catalog.current_setting('data_directory') AS directory,
        (SELECT system_identifier FROM pg_catalog.pg_control_system()) AS identifier
      """, within: .seconds(30)
    ).single()
    let identifier = UInt64(bitPattern: try row.number("identifier", as: Int64.self))
    let path = try row.path("directory")
    let hint = "See where PGHOST, PGPORT and PGSERVICE lead, or give that cluster's data directory."
    guard identifier == directory.control.systemIdentifier else {
      throw StillError(
        .precondition,
        "the server at \(place) serves another cluster, \(path) (system identifier \(identifier), "
          + "but \(directory.folder.path) has \(directory.control.systemIdentifier))", hint: hint)
    }
    let own = try directory.folder.metadata()
    if let served = try? OpenFolder.open(path).metadata() {
      guard (served.device, served.inode) == (own.device, own.inode) else {
        throw StillError(
          .precondition,
          "the server at \(place) serves \(path), a sibling of \(directory.folder.path) with the "
            + "same system identifier", hint: hint)
      }
    } else if path.lexicallyNormalized() != directory.folder.path.lexicallyNormalized() {
      throw StillError(
        .precondition,
        "the server at \(place) serves \(path), which cannot be compared with "
          + "\(directory.folder.path)", hint: hint)
    }
  }
}
