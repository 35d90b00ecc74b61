import StillModel

extension Session {
  /// How long the server may take to answer each question about itself.
  private static let patience = Duration.seconds(30)

  /// Asks the server everything that a backup wants to know.
  ///
  /// - Throws: `.postgres` where the role may not do what a backup needs, with the grant that helps.
  public func facts() throws -> ServerFacts {
    let role = try role()
    try Session.requireRights(role, versionNumber)
    let row = try query(
      """
      SELECT pg_catalog.current_setting('server_version') AS version_text,
        pg_catalog.current_setting('data_directory') AS data_directory,
        pg_catalog.current_setting('cluster_name') AS cluster_name,
        pg_catalog.current_setting('block_size') AS block_size,
        pg_catalog.current_setting('data_checksums') AS data_checksums,
        pg_catalog.current_setting('wal_level') AS wal_level,
        pg_catalog.current_setting('full_page_writes') AS full_page_writes,
        pg_catalog.current_setting('fsync') AS fsync,
        pg_catalog.current_setting('archive_mode') AS archive_mode,
        pg_catalog.current_setting('max_replication_slots') AS max_replication_slots,
        pg_catalog.current_setting('config_file') AS config_file,
        pg_catalog.current_setting('hba_file') AS hba_file,
        pg_catalog.current_setting('ident_file') AS ident_file,
        pg_catalog.pg_is_in_recovery() AS standby,
        (SELECT bytes_per_wal_segment FROM pg_catalog.pg_control_init()) AS wal_segment_size,
        (SELECT system_identifier FROM pg_catalog.pg_control_system()) AS system_identifier
      """, within: Session.patience
    ).single()
    let isStandby = try row.flag("standby")
    return ServerFacts(
      versionNumber: versionNumber, versionText: try row.string("version_text"),
      systemIdentifier: try systemIdentifier(row), dataDirectory: try row.string("data_directory"),
      isStandby: isStandby, timeline: try timeline(isStandby: isStandby),
      clusterName: try row.string("cluster_name"),
      walSegmentSize: try row.number("wal_segment_size"), blockSize: try row.number("block_size"),
      // Version 18 and later say off, on, and while they are changed inprogress-on or -off.
      hasDataChecksums: try row.string("data_checksums") == "on",
      walLevel: try row.string("wal_level"), fullPageWrites: try row.flag("full_page_writes"),
      fsync: try row.flag("fsync"), archiveMode: try row.string("archive_mode"),
      maxReplicationSlots: try row.number("max_replication_slots"),
      tablespaces: try tablespaces(), configuration: try configuration(row), role: role)
  }

  /// Unsigned, where SQL has signed numbers only.
  private func systemIdentifier(_ row: Row) throws -> UInt64 {
    UInt64(bitPattern: try row.number("system_identifier", as: Int64.self))
  }

  private func role() throws -> ServerFacts.Role {
    let start = versionNumber >= 150000 ? "pg_backup_start" : "pg_start_backup"
    let row = try query(
      """
      SELECT own.rolname AS name, own.rolsuper AS superuser, own.rolreplication AS replication,
        EXISTS (SELECT FROM pg_catalog.pg_roles AS other
          WHERE other.rolname OPERATOR(pg_catalog.=) 'pg_checkpoint'
            AND pg_catalog.pg_has_role(other.oid, 'USAGE')) AS checkpoint,
        EXISTS (SELECT FROM pg_catalog.pg_roles AS other
          WHERE other.rolname OPERATOR(pg_catalog.=) 'pg_read_all_settings'
            AND pg_catalog.pg_has_role(other.oid, 'USAGE')) AS settings,
        COALESCE((SELECT pg_catalog.bool_and(
            pg_catalog.has_function_privilege(function.oid, 'EXECUTE'))
          FROM pg_catalog.pg_proc AS function
          WHERE function.proname OPERATOR(pg_catalog.=) $1
            AND function.pronamespace OPERATOR(pg_catalog.=)
              'pg_catalog'::pg_catalog.regnamespace), false) AS backup
      FROM pg_catalog.pg_roles AS own
      WHERE own.rolname OPERATOR(pg_catalog.=) CURRENT_USER
      """, [start], within: Session.patience
    ).single()
    let isSuperuser = try row.flag("superuser")
    return ServerFacts.Role(
      name: try row.string("name"), isSuperuser: isSuperuser,
      mayCheckpoint: try isSuperuser || row.flag("checkpoint"),
      mayReadSettings: try isSuperuser || row.flag("settings"),
      mayBackUp: try isSuperuser || row.flag("backup"),
      mayReplicate: try isSuperuser || row.flag("replication"))
  }

  /// Before 15 there is no role that may do a checkpoint but the superuser.
  static func requireRights(_ role: ServerFacts.Role, _ versionNumber: Int) throws {
    var missing: [(right: String, grant: String)] = []
    if !role.mayCheckpoint { missing.append(("run CHECKPOINT", "pg_checkpoint")) }
    if !role.mayReadSettings {
      missing.append(("read data_directory and other settings", "pg_read_all_settings"))
    }
    guard !missing.isEmpty else { return }
    let name = "\"" + role.name.replacing("\"", with: "\"\"") + "\""
    throw StillError(
      .postgres,
      "the role \(name) may not \(missing.map(\.right).joined(separator: ", nor "))",
      hint: versionNumber >= 150000
        ? "As a superuser: GRANT \(missing.map(\.grant).joined(separator: ", ")) TO \(name);"
        : "Before PostgreSQL 15 only a superuser may do all of that: connect as one.")
  }

  private func timeline(isStandby: Bool) throws -> UInt32 {
    if isStandby {
      // The control file knows the timeline of the last restart point, and that of the minimum
      // recovery point, which is newer; the WAL receiver may be further on still.
      return try query(
        """
        SELECT GREATEST((SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()),
          (SELECT min_recovery_end_timeline FROM pg_catalog.pg_control_recovery()),
          (SELECT received_tli FROM pg_catalog.pg_stat_get_wal_receiver())) AS timeline
        """, within: Session.patience
      ).single().number("timeline")
    }
    let name = try query(
      """
      SELECT pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()) AS name
      """, within: Session.patience
    ).single().string("name")
    guard let timeline = UInt32(name.prefix(8), radix: 16) else {
      throw StillError(.postgres, "the server names its WAL segment \(name)")
    }
    return timeline
  }

  /// The tablespaces outside the data directory, as the catalog has them.
  public func tablespaces() throws -> [ServerFacts.TablespaceEntry] {
    // 1663 and 1664 are pg_default and pg_global (src/include/catalog/pg_tablespace.dat).
    try query(
      """
      SELECT space.oid AS oid, space.spcname AS name,
        pg_catalog.pg_tablespace_location(space.oid) AS location
      FROM pg_catalog.pg_tablespace AS space
      WHERE space.oid OPERATOR(pg_catalog.<>) ALL ('{1663,1664}'::pg_catalog.oid[])
      ORDER BY space.oid
      """, within: Session.patience
    ).map {
      ServerFacts.TablespaceEntry(
        oid: try $0.number("oid"), name: try $0.string("name"), location: try $0.string("location"))
    }
  }

  private func configuration(_ row: Row) throws -> ServerFacts.Configuration {
    let config = try row.string("config_file")
    let hba = try row.string("hba_file")
    let ident = try row.string("ident_file")
    var files: Set<String> = [config, hba, ident]
    var sources = [
      (view: "pg_file_settings", function: "pg_show_all_file_settings", column: "sourcefile")
    ]
    if versionNumber >= 160000 {
      for view in ["pg_hba_file_rules", "pg_ident_file_mappings"] {
        sources.append((view: view, function: view, column: "file_name"))
      }
    }
    var isComplete = true
    for (view, function, column) in sources {
      // Both the view and the function behind it are a superuser's by default.
      let isAllowed = try query(
        """
        SELECT pg_catalog.has_table_privilege('pg_catalog.\(view)', 'SELECT')
          AND pg_catalog.has_function_privilege('pg_catalog.\(function)()', 'EXECUTE') AS allowed
        """, within: Session.patience
      ).single().flag("allowed")
      guard isAllowed else {
        isComplete = false
        continue
      }
      for row in try query(
        """
        SELECT DISTINCT \(column) AS file FROM pg_catalog.\(view) WHERE \(column) IS NOT NULL
        """, within: Session.patience)
      {
        files.insert(try row.string("file"))
      }
    }
    return ServerFacts.Configuration(
      configFile: config, hbaFile: hba, identFile: ident, files: files.sorted(),
      isComplete: isComplete)
  }
}
