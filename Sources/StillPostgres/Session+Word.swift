import StillModel

/// A row that is written right before the old server stops, and asked for at the new one: what was
/// confirmed last is there.
extension Session {
  private static let table = "pgstill_migration"

  /// Writes the row.
  ///
  /// - Throws: `.postgres` where the role may not make a table in this database.
  public func leaveWord(_ word: String) throws {
    _ = try query(
      "CREATE TABLE IF NOT EXISTS public.\(Session.table) (word pg_catalog.text)",
      within: .seconds(30))
    _ = try query(
      "INSERT INTO public.\(Session.table) VALUES ($1)", [word], within: .seconds(30))
  }

  /// - Throws: `.precondition` where the row is not there.
  public func requireWord(_ word: String) throws {
    let found = try query(
      """
      SELECT EXISTS (SELECT FROM public.\(Session.table)
        WHERE word OPERATOR(pg_catalog.=) $1) AS found
      """, [word], within: .seconds(30)
    ).single().flag("found")
    guard found else {
      // Waiting makes no difference.
      throw StillError(
        .precondition, "the row that was written right before the stop is not on the new server")
    }
  }

  /// Removes the table.
  public func forgetWord() throws {
    _ = try query("DROP TABLE IF EXISTS public.\(Session.table)", within: .seconds(30))
  }
}
