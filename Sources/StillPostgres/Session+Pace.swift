import StillModel

extension Session {
  /// How long the server may take to answer.
  private static let patience = Duration.seconds(30)

  /// What the settings say of how changes come to the disks; of the segments in `pg_wal` nothing yet.
  public func pace() throws -> ServerPace {
    // The numbers of pg_settings are in the unit of the row: seconds, and MB.
    let row = try query(
      """
      SELECT pg_catalog.max(setting) FILTER (
          WHERE name OPERATOR(pg_catalog.=) 'checkpoint_timeout') AS seconds,
        pg_catalog.max(setting) FILTER (
          WHERE name OPERATOR(pg_catalog.=) 'checkpoint_completion_target') AS target,
        pg_catalog.max(setting) FILTER (
          WHERE name OPERATOR(pg_catalog.=) 'max_wal_size') AS most,
        pg_catalog.max(setting) FILTER (
          WHERE name OPERATOR(pg_catalog.=) 'wal_keep_size') AS kept,
        (SELECT bytes_per_wal_segment FROM pg_catalog.pg_control_init()) AS segment
      FROM pg_catalog.pg_settings
      """, within: Session.patience
    ).single()
    let target = try row.string("target")
    return ServerPace(
      checkpointSeconds: Double(try row.number("seconds", as: Int.self)),
      completionTarget: Double(target) ?? 0.9,
      mostWAL: try row.number("most", as: UInt64.self) << 20,
      keptWAL: try row.number("kept", as: UInt64.self) << 20,
      segmentSize: try row.number("segment"))
  }

  /// What the server has written to its relations since its statistics began, in bytes, whoever in it did:
  /// an upper bound of what is changed in them. WAL is not in it.
  public func bytesWritten() throws -> UInt64 {
    // The manual, "The Cumulative Statistics System"; pg_stat_io is there from 16 on, and counts in bytes
    // from 18 on.
    let sum =
      switch versionNumber {
      case 180000...:
        """
        SELECT pg_catalog.sum(COALESCE(write_bytes, 0) OPERATOR(pg_catalog.+)
          COALESCE(extend_bytes, 0)) AS bytes FROM pg_catalog.pg_stat_io
        WHERE object OPERATOR(pg_catalog.<>) 'wal'
        """
      case 160000...:
        """
        SELECT pg_catalog.sum((COALESCE(writes, 0) OPERATOR(pg_catalog.+) COALESCE(extends, 0))
          OPERATOR(pg_catalog.*) op_bytes) AS bytes FROM pg_catalog.pg_stat_io
        """
      default:
        """
        SELECT (buffers_checkpoint OPERATOR(pg_catalog.+) buffers_clean
            OPERATOR(pg_catalog.+) buffers_backend) OPERATOR(pg_catalog.*)
          pg_catalog.current_setting('block_size')::pg_catalog.int8 AS bytes
        FROM pg_catalog.pg_stat_bgwriter
        """
      }
    return try query(
      "SELECT COALESCE(bytes, 0)::pg_catalog.int8 AS bytes FROM (\(sum)) AS sum",
      within: Session.patience
    ).single().number("bytes")
  }
}
