import StillModel

/// A server in backup mode, which lasts as long as the one session that began it (the manual,
/// "Making a Base Backup Using the Low Level API").
///
/// Between begin and end the server's files may be copied in any order while it writes to them: what
/// the copy got wrong, recovery puts right from the log, told by the label where to begin. The end
/// makes the label; without it the copy is worth nothing.
public final class BackupMode {
  /// What the end hands out.
  public struct Ending: Hashable, Sendable {
    /// The log has to reach here before a restored server is consistent.
    public var stop: LSN
    /// To be kept as `backup_label`, byte for byte.
    public var label: [UInt8]
    /// To be kept as `tablespace_map`, byte for byte; empty where there are no tablespaces.
    public var tablespaceMap: [UInt8]
  }

  /// Where recovery will begin.
  public let start: LSN
  /// Whose end ends the mode; nothing else runs in it.
  public let session: Session

  private init(start: LSN, session: Session) {
    self.start = start
    self.session = session
  }

  /// Asks whether `begin` has a chance; changes nothing.
  ///
  /// - Throws: `.precondition` for a server that writes too little WAL, `.postgres` for a role that
  ///   may not, with the grant that helps.
  public static func requirePossible(_ facts: ServerFacts) throws {
    guard facts.walLevel != "minimal" else {
      throw StillError(
        .precondition,
        "wal_level is minimal: the log does not hold enough to mend files that change while they "
          + "are copied",
        hint: "Set wal_level = replica (and max_wal_senders as you like) and start the server anew."
      )
    }
    guard facts.role.mayBackUp else { throw denied(facts.role.name, facts.versionNumber) }
  }

  /// Begins backup mode, with an immediate checkpoint.
  ///
  /// - Parameters:
  ///   - session: is this backup's from here on.
  ///   - label: for people; it stands in `backup_label`.
  /// - Throws: `.postgres` where the server refuses.
  public static func begin(in session: Session, label: String) throws -> BackupMode {
    // Exclusive mode, which 14 still has, is never asked for: it leaves backup_label in the data
    // directory, where it keeps a server that crashed from starting.
    let call =
      session.versionNumber >= 150000
      ? "pg_backup_start($1, true)" : "pg_start_backup($1, true, false)"
    do {
      let row = try session.query("SELECT pg_catalog.\(call) AS start", [label]).single()
      return BackupMode(start: try row.lsn("start"), session: session)
    } catch let failure as StillError where failure.message.hasSuffix("(SQLSTATE 42501)") {
      throw denied(try session.roleName(), session.versionNumber)
    }
  }

  /// Ends backup mode. It does not wait for the archive: the log is copied right after.
  ///
  /// - Throws: `.postgres` where the session was lost, and with it the copy; where a standby was
  ///   promoted meanwhile; or whatever else the server says.
  public func end() throws -> Ending {
    let call =
      session.versionNumber >= 150000 ? "pg_backup_stop(false)" : "pg_stop_backup(false, false)"
    do {
      let row = try session.query(
        "SELECT lsn, labelfile, spcmapfile FROM pg_catalog.\(call)"
      ).single()
      guard let label = try row.bytes("labelfile"), !label.isEmpty else {
        throw StillError(.postgres, "the server handed out no backup_label")
      }
      return Ending(
        stop: try row.lsn("lsn"), label: label,
        tablespaceMap: try row.bytes("spcmapfile") ?? [])
    } catch {
      throw lossOfMode() ?? error
    }
  }

  /// Why the mode ended too early; nil while it lasts. Asks the server nothing.
  public func lossOfMode() -> StillError? {
    guard let loss = session.loss() else { return nil }
    return StillError(
      .postgres,
      "the session that kept the server in backup mode was lost, and the copy is worthless "
        + "without it: \(loss.message)",
      hint:
        "Nothing was published; run again. Sessions are ended by pg_terminate_backend, by a stop "
        + "of the server, and by poolers and firewalls between it and pgstill.")
  }

  private static func denied(_ role: String, _ versionNumber: Int) -> StillError {
    let name = "\"" + role.replacing("\"", with: "\"\"") + "\""
    let functions =
      versionNumber >= 150000
      ? "pg_backup_start(text, boolean), pg_backup_stop(boolean)"
      : "pg_start_backup(text, boolean, boolean), pg_stop_backup(boolean, boolean)"
    return StillError(
      .postgres, "the role \(name) may not begin and end a backup",
      hint: "As a superuser, in the database that is connected to: GRANT EXECUTE ON FUNCTION "
        + "\(functions) TO \(name);")
  }
}

extension Session {
  func roleName() throws -> String {
    try query("SELECT CURRENT_USER::pg_catalog.text AS name", within: .seconds(30)).single()
      .string("name")
  }
}
