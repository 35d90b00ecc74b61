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
    _ = try query("CREATE EXTENSION IF NOT EXISTS amcheck SCHEMA pg_catalog")
    _ = try query("ALTER EXTENSION amcheck UPDATE")
  }
}
