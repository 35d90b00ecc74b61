extension BackupRecord {
  /// That a server was started on a restored copy of the backup, and what it said.
  public struct Proof: Hashable, Sendable, Codable {
    public var at: CalendarTime
    /// For everything: restoring, starting, asking.
    public var seconds: Double
    /// Of the server that was started: `15.18`.
    public var postgres: String
    /// What was asked and is good, each in a few words.
    public var checks: [String]
    /// Everything that is wrong; empty for a good backup.
    public var problems: [String]

    public init(
      at: CalendarTime, seconds: Double, postgres: String, checks: [String], problems: [String]
    ) {
      self.at = at
      self.seconds = seconds
      self.postgres = postgres
      self.checks = checks
      self.problems = problems
    }

    public var isGood: Bool { problems.isEmpty }
  }
}
