import StillModel

extension Session {
  /// The databases that can be connected to.
  public func databases() throws -> [String] {
    try query(
      """
      SELECT datname AS name FROM pg_catalog.pg_database WHERE datallowconn
      ORDER BY datname USING OPERATOR(pg_catalog.<)
      """, within: .seconds(30)
    ).map { try $0.string("name") }
  }

  /// Each database that can be connected to with the locales of the operating system's that it needs.
  public func locales() throws -> [(database: String, locale: String)] {
    try query(
      """
      SELECT DISTINCT base.datname::pg_catalog.text AS name, need.locale AS locale
      FROM pg_catalog.pg_database AS base,
        LATERAL (VALUES (base.datcollate::pg_catalog.text), (base.datctype::pg_catalog.text))
          AS need (locale)
      WHERE base.datallowconn AND need.locale IS NOT NULL
      ORDER BY 1 USING OPERATOR(pg_catalog.<), 2 USING OPERATOR(pg_catalog.<)
      """, within: .seconds(30)
    ).map { (try $0.string("name"), try $0.string("locale")) }
  }

  /// The indexes of this database whose order depends on the rules of a library, as SQL names them. `C`
  /// and `POSIX` sort by bytes, and so do collations that PostgreSQL builds itself (the manual,
  /// "Collation Support").
  ///
  /// - Parameters:
  ///   - byLibc: those of the operating system's library.
  ///   - byICU: those of ICU.
  public func sortedIndexes(byLibc: Bool, byICU: Bool) throws -> [String] {
    // Of databases, only version 15 and later know of any other than the operating system's.
    let provider = versionNumber >= 150000 ? "base.datlocprovider" : "'c'::\"char\""
    return try query(
      """
      SELECT pg_catalog.quote_ident(space.nspname) AS space,
        pg_catalog.quote_ident(class.relname) AS name
      FROM pg_catalog.pg_index AS entry
      JOIN pg_catalog.pg_class AS class ON class.oid OPERATOR(pg_catalog.=) entry.indexrelid
      JOIN pg_catalog.pg_namespace AS space ON space.oid OPERATOR(pg_catalog.=) class.relnamespace
      WHERE class.relkind OPERATOR(pg_catalog.=) 'i'::"char" AND EXISTS (
        SELECT FROM pg_catalog.unnest(entry.indcollation::pg_catalog.oid[]) AS used (oid)
        JOIN pg_catalog.pg_collation AS rule ON rule.oid OPERATOR(pg_catalog.=) used.oid
        JOIN pg_catalog.pg_database AS base
          ON base.datname OPERATOR(pg_catalog.=) pg_catalog.current_database(),
        LATERAL (SELECT
          CASE rule.collprovider WHEN 'd' THEN \(provider) ELSE rule.collprovider END AS provider,
          CASE rule.collprovider WHEN 'd' THEN base.datcollate::pg_catalog.text
            ELSE rule.collcollate::pg_catalog.text END AS locale) AS real
        WHERE real.provider OPERATOR(pg_catalog.=) 'c'::"char" AND $1::pg_catalog.bool
            AND real.locale OPERATOR(pg_catalog.<>) ALL ('{C,POSIX}'::pg_catalog.text[])
          OR real.provider OPERATOR(pg_catalog.=) 'i'::"char" AND $2::pg_catalog.bool)
      ORDER BY 1 USING OPERATOR(pg_catalog.<), 2 USING OPERATOR(pg_catalog.<)
      """, [byLibc ? "t" : "f", byICU ? "t" : "f"], within: .seconds(60)
    ).map { "\(try $0.string("space")).\(try $0.string("name"))" }
  }
}
