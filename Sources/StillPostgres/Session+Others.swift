import StillModel

/// Who else has to do with a server, as far as this role may see.
public struct ServerOthers: Hashable, Sendable {
  /// How many clients are connected beside this one.
  public var clients: Int
  /// Who reads its WAL: `standby1 at 10.0.0.7`.
  public var readers: [String]
  /// Its replication slots, which are in the data directory.
  public var slots: [String]
}

extension Session {
  /// - Throws: `.postgres`.
  public func others() throws -> ServerOthers {
    let clients = try value(
      """
      SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_activity
      WHERE backend_type OPERATOR(pg_catalog.=) 'client backend'
        AND pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()
      """)
    let readers = try query(
      """
      SELECT pg_catalog.concat_ws(' at ', NULLIF(application_name, ''),
        COALESCE(pg_catalog.host(client_addr), 'this host')) AS name
      FROM pg_catalog.pg_stat_replication ORDER BY 1 USING OPERATOR(pg_catalog.<)
      """, within: .seconds(30)
    ).map { try $0.string("name") }
    let slots = try query(
      """
      SELECT slot_name::pg_catalog.text AS name FROM pg_catalog.pg_replication_slots
      WHERE NOT temporary ORDER BY 1 USING OPERATOR(pg_catalog.<)
      """, within: .seconds(30)
    ).map { try $0.string("name") }
    return ServerOthers(clients: Int(clients) ?? 0, readers: readers, slots: slots)
  }
}
