import StillModel

extension Session {
  /// Makes amcheck's functions be there, and as new as the server: in a database that has had them for
  /// long they may be of a version that cannot check tables. For scratch servers only.
  ///
  /// - Throws: `.precondition` where they are not installed.
  public func prepareAmcheck() throws {
    guard
      try !query(
        "SELECT FROM pg_catalog.pg_available_extensions WHERE name = 'amcheck'"
      ).isEmpty
    else {
      throw StillError(
        .precondition, "the server's extension amcheck is not installed on this host",
        hint: "Install PostgreSQL's contrib modules.")
    }
    try disableEventTriggers()
    _ = try query("CREATE EXTENSION IF NOT EXISTS amcheck SCHEMA pg_catalog")
    _ = try query("ALTER EXTENSION amcheck UPDATE")
  }

  /// Whatever session_replication_role says, there are some that fire (`filter_event_trigger` of
  /// src/backend/commands/event_trigger.c), and a setting against them from PostgreSQL 17 on only.
  /// Commands on event triggers fire none.
  private func disableEventTriggers() throws {
    let names = try query(
      """
      SELECT pg_catalog.quote_ident(evtname) AS name FROM pg_catalog.pg_event_trigger
      WHERE evtenabled <> 'D'
      """
    ).map { try $0.string("name") }
    for name in names { _ = try query("ALTER EVENT TRIGGER \(name) DISABLE") }
  }
}
