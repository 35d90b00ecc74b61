/// What a migration came to.
public struct MigrationReport: Hashable, Sendable, Codable {
  /// One time that everything was gone through.
  public struct Pass: Hashable, Sendable, Codable {
    /// What was read.
    public enum Source: String, Hashable, Sendable, Codable {
      /// The files of the running server.
      case live
      /// Snapshots of all its volumes, of one instant.
      case snapshots
      /// The files of the stopped server.
      case stopped
    }

    public var number: Int
    public var source: Source
    public var seconds: Double
    /// Files of the source.
    public var files: UInt64
    /// Those whose content was compared on both sides.
    public var compared: UInt64
    /// Those whose content was sent, and how much of it, in bytes.
    public var sent: UInt64
    public var bytes: UInt64
    /// Removed from the target.
    public var removed: UInt64

    public init(
      number: Int, source: Source, seconds: Double, files: UInt64, compared: UInt64, sent: UInt64,
      bytes: UInt64, removed: UInt64
    ) {
      self.number = number
      self.source = source
      self.seconds = seconds
      self.files = files
      self.compared = compared
      self.sent = sent
      self.bytes = bytes
      self.removed = removed
    }
  }

  /// How long nobody was served, in seconds.
  public struct Downtime: Hashable, Sendable, Codable {
    /// As a client saw it who tried to connect every 50 ms; nil where no new server was started.
    public var seenByClient: Double?
    /// From the order to stop until the server was down.
    public var stop: Double
    public var copy: Double
    /// From the order to start until the new server had proved itself; nil where none was started.
    public var start: Double?

    public init(seenByClient: Double?, stop: Double, copy: Double, start: Double?) {
      self.seenByClient = seenByClient
      self.stop = stop
      self.copy = copy
      self.start = start
    }
  }

  /// What a look at everything came to, with the new server at work already.
  public struct Check: Hashable, Sendable, Codable {
    /// Files of the old cluster.
    public var files: UInt64
    /// Those that the new server cannot have written since, and that are not what they are in the old one.
    public var unlike: [String]
    /// Why it was not made to its end.
    public var failure: String?

    public init(files: UInt64, unlike: [String], failure: String? = nil) {
      self.files = files
      self.unlike = unlike
      self.failure = failure
    }

    public var isGood: Bool { unlike.isEmpty && failure == nil }
  }

  public var plan: MigrationPlan
  public var passes: [Pass]
  /// Nil for a rehearsal.
  public var downtime: Downtime?
  /// Nil where none was asked for.
  public var check: Check?
  /// What to do next.
  public var next: [String]

  public init(
    plan: MigrationPlan, passes: [Pass], downtime: Downtime?, check: Check? = nil,
    next: [String]
  ) {
    self.plan = plan
    self.passes = passes
    self.downtime = downtime
    self.check = check
    self.next = next
  }
}
