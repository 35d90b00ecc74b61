import StillModel

extension Session {
  /// Writes everything that the server holds in memory to its files; on a standby a restart point,
  /// which moves the redo point only as far as the primary's last checkpoint.
  ///
  /// - Parameter limit: it is I/O of the size of the shared buffers, so minutes on a busy server.
  /// - Throws: `.postgres` where the role may not, or the deadline passed.
  public func checkpoint(within limit: Duration? = nil) throws {
    _ = try query("CHECKPOINT", within: limit)
  }

  /// Up to where the log is on the disk: everything that was committed before this call lies before
  /// it, and has to be in a picture of the files that is taken afterwards.
  ///
  /// On a primary that is what was flushed. On a standby it is what was replayed: what a client of
  /// it can have seen, all of it in `pg_wal` (WAL that came by streaming is flushed before it is
  /// replayed, and a segment out of the archive is kept under its own name). What the standby has
  /// received beyond that, it promised to nobody here, and a new timeline may make it void.
  ///
  /// It may lie in the middle of a record.
  public func flushLSN() throws -> LSN {
    try query(
      """
      SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
        ELSE pg_catalog.pg_current_wal_flush_lsn() END AS position
      """, within: .seconds(30)
    ).single().lsn("position")
  }
}
