import StillModel
import SystemPackage

extension Session {
  public func isInRecovery() throws -> Bool {
    try query("SELECT pg_catalog.pg_is_in_recovery() AS answer", within: .seconds(30))
      .single().flag("answer")
  }

  /// What all tablespaces hold together, in bytes.
  ///
  /// - Throws: `.postgres` where the role may not ask (the manual, "Database Object Size Functions").
  public func sizeOfTablespaces() throws -> UInt64 {
    let text = try query(
      """
      SELECT pg_catalog.sum(pg_catalog.pg_tablespace_size(oid))::pg_catalog.text AS size
      FROM pg_catalog.pg_tablespace
      """, within: .seconds(60)
    ).single().string("size")
    guard let size = UInt64(text) else {
      throw StillError(.postgres, "the server gives its size as \(text)")
    }
    return size
  }

  /// The folder of the server's own log files, absolute; nil where it has no collector for them.
  public func logCollectorFolder() throws -> FilePath? {
    let row = try query(
      """
      SELECT pg_catalog.current_setting('logging_collector') AS collector,
        pg_catalog.current_setting('log_directory') AS folder,
        pg_catalog.current_setting('data_directory') AS directory
      """, within: .seconds(30)
    ).single()
    guard try row.string("collector") == "on" else { return nil }
    return try row.path("directory").pushing(try row.path("folder"))
  }
}
