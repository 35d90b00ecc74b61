import StillModel

/// A claim on the server's log: from when it is taken, no segment is recycled that recovery may need,
/// until the session ends that took it. It is a temporary physical replication slot (the manual,
/// "Replication Slots"), so nothing is left behind by whoever dies.
///
/// A temporary slot also goes with any error in its session; hence a session of its own, in which
/// nothing else runs.
public final class WALReservation {
  /// How a claim stands.
  public enum State: Hashable, Sendable {
    case held
    /// The slot is no more.
    case gone
    /// The server keeps the log no longer, for `max_slot_wal_keep_size`: `unreserved` or `lost`.
    case given(up: String)
  }

  public let name: String
  public let session: Session

  private init(_ name: String, _ session: Session) {
    self.name = name
    self.session = session
  }

  /// The slot's name: letters, digits and underscores are allowed, no capitals.
  public static func name(for run: RunID) -> String {
    "pgstill_" + String(run.description.lowercased().map { $0 == "-" ? "_" : $0 })
  }

  /// Takes a claim from now on. On a standby, too.
  ///
  /// - Parameter session: is this claim's from here on.
  /// - Throws: `.postgres` with what has to change for there to be a slot.
  public static func take(_ name: String, in session: Session) throws -> WALReservation {
    do {
      _ = try session.query(
        "SELECT FROM pg_catalog.pg_create_physical_replication_slot($1, true, true)", [name],
        within: .seconds(60))
      return WALReservation(name, session)
    } catch var failure as StillError {
      failure.hint = try hint(for: failure, session) ?? failure.hint
      throw failure
    }
  }

  /// How the claim stands; `other` is any session but the claim's own.
  public func state(asking other: Session) throws -> State {
    // wal_status is there from 13 on.
    let column = other.versionNumber >= 130000 ? "wal_status" : "'reserved'"
    let rows = try other.query(
      """
      SELECT COALESCE(\(column), 'lost') AS status FROM pg_catalog.pg_replication_slots
      WHERE slot_name OPERATOR(pg_catalog.=) $1 AND active
      """, [name], within: .seconds(60))
    guard let row = rows.first else { return .gone }
    let status = try row.string("status")
    return ["reserved", "extended"].contains(status) ? .held : .given(up: status)
  }

  /// Gives the log back.
  public func end() { session.close() }

  private static func hint(for failure: StillError, _ session: Session) throws -> String? {
    if failure.message.hasSuffix("(SQLSTATE 42501)") {
      let role = try session.roleName().replacing("\"", with: "\"\"")
      return "As a superuser: ALTER ROLE \"\(role)\" REPLICATION;"
    }
    if failure.message.hasSuffix("(SQLSTATE 53400)") {
      return "Drop a slot that nobody uses (see pg_replication_slots), or raise "
        + "max_replication_slots and start the server anew."
    }
    if failure.message.hasSuffix("(SQLSTATE 55000)") {
      return "Set max_replication_slots = 10 and wal_level = replica, and start the server anew."
    }
    return nil
  }
}
