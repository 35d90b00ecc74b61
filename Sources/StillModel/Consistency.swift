/// How a backup is made consistent (`--consistency`).
public enum Consistency: String, Hashable, Sendable, Codable, CaseIterable {
  /// Every volume frozen at one instant; the backup is what a power cut would have left.
  case snapshot
  /// Copied between the server's own begin and end of a backup; the WAL of that time makes it whole.
  case online
  /// The server is stopped, its volumes are frozen, and it is started again; or, where they cannot
  /// be frozen, it stays down until everything is copied.
  case shutdown
}
