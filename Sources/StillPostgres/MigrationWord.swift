import StillModel

/// Asks a server for one value; throws where it does not answer.
public typealias Question = (_ sql: String) throws -> String

/// Something that is written right before the old server stops, and asked for at the new one: what was
/// confirmed last is there. It is a table of a name that nobody has, without columns and rows: no
/// trigger or rule of a user runs with the rights of this role, and no subscriber of a publication of
/// all tables gets anything.
public struct MigrationWord: Sendable {
  private let table: String
  public var name: String { table }

  public init(of id: RunID) {
    let name = id.description.lowercased().map {
      $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_"
    }
    table = "public.pgstill_" + String(name)
  }

  /// Whether it can be left, which nobody wants to find out after hours. Nothing is left.
  ///
  /// - Throws: `.precondition` where the role may make no table in this database.
  public func tryOut(with session: Session) throws {
    do {
      _ = try session.query("BEGIN", within: .seconds(30))
      defer { _ = try? session.query("ROLLBACK", within: .seconds(30)) }
      try leave(with: session)
    } catch let failure as StillError {
      throw StillError(
        .precondition,
        "the proof of the new server needs a table in the schema public, for a moment, which cannot be "
          + "made: \(failure.message)",
        hint: "Grant CREATE in it to this role, or connect as another one (PGUSER), or to another "
          + "database (PGDATABASE).")
    }
  }

  /// - Throws: `.postgres` where the role may make no table in this database.
  public func leave(with session: Session) throws {
    _ = try session.query("CREATE TABLE \(table) ()", within: .seconds(30))
  }

  /// - Throws: `.precondition` where it is not there: waiting makes no difference.
  public func require(_ ask: Question) throws {
    guard try ask("SELECT pg_catalog.to_regclass('\(table)') IS NOT NULL") == "t" else {
      throw StillError(
        .precondition, "what was written right before the stop is not on the new server")
    }
  }

  /// Removes it. A session should wait for no other server then (`synchronous_commit`): that may look for
  /// the old one.
  public func forget(_ ask: Question) throws { _ = try ask("DROP TABLE IF EXISTS \(table)") }

  public func forget(with session: Session) throws {
    _ = try session.query("SET synchronous_commit = local", within: .seconds(30))
    try forget(session.value)
  }
}

extension Session {
  /// The first value of what a statement answers, as text; empty for NULL and for no rows.
  public func value(_ sql: String) throws -> String {
    let rows = try query(sql, within: .seconds(60))
    guard let row = rows.first, let column = rows.columns.first else { return "" }
    return try row.optionalString(column) ?? ""
  }
}
