/// How a snapshot keeps what its origin has overwritten.
public enum SnapshotKind: String, Hashable, Sendable, Codable {
  /// In a COW store of its own, which can overflow.
  case classic
  /// In the thin pool that holds its origin too.
  case thin
}

/// The pool of a thin volume.
public struct ThinPool: Hashable, Sendable, Codable {
  public var name: VolumeName
  /// Room for data in bytes.
  public var size: UInt64
  /// Used share of the room for data, 0…1.
  public var data: Double
  /// Used share of the room for metadata, 0…1.
  public var metadata: Double

  public init(name: VolumeName, size: UInt64, data: Double, metadata: Double) {
    self.name = name
    self.size = size
    self.data = data
    self.metadata = metadata
  }
}

/// What LVM says of a volume that a backup wants to freeze.
public struct VolumeFacts: Hashable, Sendable, Codable {
  public var name: VolumeName
  /// In bytes.
  public var size: UInt64
  /// What a snapshot of it is.
  public var kind: SnapshotKind
  /// LVM's segment type: `linear`, `striped`, `thin`, …
  public var segmentType: String
  /// Unused room of its volume group, in bytes.
  public var groupFree: UInt64
  /// What its volume group gives out at once, in bytes.
  public var extentSize: UInt64
  /// Of a thin volume only.
  public var pool: ThinPool?
  /// Why it cannot be snapshotted; nil if it can.
  public var obstacle: String?
  /// What to do about the obstacle.
  public var remedy: String?
  /// Whether only another volume would do: the obstacle is in the kind of this one.
  public var obstacleIsLasting: Bool

  public init(
    name: VolumeName, size: UInt64, kind: SnapshotKind = .classic, segmentType: String = "linear",
    groupFree: UInt64, extentSize: UInt64, pool: ThinPool? = nil, obstacle: String?,
    remedy: String? = nil, obstacleIsLasting: Bool = false
  ) {
    self.obstacleIsLasting = obstacleIsLasting
    self.name = name
    self.size = size
    self.kind = kind
    self.segmentType = segmentType
    self.pool = pool
    self.remedy = remedy
    self.groupFree = groupFree
    self.extentSize = extentSize
    self.obstacle = obstacle
  }
}

/// An origin, and the size of the COW store that its snapshot shall have.
public struct SnapshotRequest: Hashable, Sendable, Codable {
  public var origin: VolumeName
  /// In bytes; LVM rounds it up to whole extents. A thin snapshot has no store, and its size is not
  /// looked at.
  public var size: UInt64

  public init(origin: VolumeName, size: UInt64) {
    self.origin = origin
    self.size = size
  }
}

/// A snapshot that was made.
public struct SnapshotFacts: Hashable, Sendable, Codable {
  public var origin: VolumeName
  public var snapshot: VolumeName
  public var kind: SnapshotKind
  /// The size of its COW store in bytes, as LVM made it; of a thin snapshot, the origin's own size.
  public var size: UInt64

  public init(
    origin: VolumeName, snapshot: VolumeName, kind: SnapshotKind = .classic, size: UInt64
  ) {
    self.origin = origin
    self.snapshot = snapshot
    self.kind = kind
    self.size = size
  }
}

/// From when to when a step of the freeze took, in milliseconds since the window began.
public struct Span: Hashable, Sendable, Codable {
  public var begin: Double
  public var end: Double

  public init(begin: Double, end: Double) {
    self.begin = begin
    self.end = end
  }
}

/// The freeze window, written down step by step.
public struct FreezeReport: Hashable, Sendable, Codable {
  public struct Volume: Hashable, Sendable, Codable {
    public var origin: VolumeName
    public var snapshot: VolumeName
    public var suspend: Span
    public var take: Span
    public var resume: Span

    public init(
      origin: VolumeName, snapshot: VolumeName, suspend: Span, take: Span, resume: Span
    ) {
      self.origin = origin
      self.snapshot = snapshot
      self.suspend = suspend
      self.take = take
      self.resume = resume
    }

    /// How long writers to this volume waited, in milliseconds.
    public var held: Double { resume.end - suspend.begin }
  }

  /// The time of day of the first suspend, in microseconds since 1970.
  public var beganMicroseconds: Int64
  public var volumes: [Volume]

  public init(beganMicroseconds: Int64, volumes: [Volume]) {
    self.beganMicroseconds = beganMicroseconds
    self.volumes = volumes
  }

  /// The same, to the second.
  public var at: CalendarTime { CalendarTime(secondsSince1970: beganMicroseconds / 1_000_000) }

  /// From the first suspend to the last resume, in milliseconds.
  public var window: Double {
    (volumes.map(\.resume.end).max() ?? 0) - (volumes.map(\.suspend.begin).min() ?? 0)
  }

  /// From the first to the last origin's suspend, in milliseconds: from where the first one began
  /// until the last one was done, so no two volumes were frozen further apart. 0 for one volume.
  public var skew: Double {
    guard volumes.count > 1 else { return 0 }
    return (volumes.map(\.suspend.end).max() ?? 0) - (volumes.map(\.suspend.begin).min() ?? 0)
  }
}

/// How full a snapshot's COW store is, or the pool of a thin snapshot, as the kernel says.
public struct SnapshotFill: Hashable, Sendable, Codable {
  public enum State: String, Hashable, Sendable, Codable {
    case valid
    /// Ran full, or its store could not be written: what it shows is worth nothing. Of a thin
    /// snapshot: it failed, or its pool can take in no more.
    case invalid
    case unknown
  }

  public var origin: VolumeName
  public var snapshot: VolumeName
  public var state: State
  /// In bytes: of the COW store, or of the whole pool's data.
  public var used: UInt64
  /// In bytes: of the COW store, or of the whole pool's data.
  public var size: UInt64
  /// Used share of the pool's room for metadata, 0…1; of a thin snapshot only.
  public var metadata: Double?

  public init(
    origin: VolumeName, snapshot: VolumeName, state: State, used: UInt64, size: UInt64,
    metadata: Double? = nil
  ) {
    self.origin = origin
    self.snapshot = snapshot
    self.state = state
    self.used = used
    self.size = size
    self.metadata = metadata
  }

  /// Used share of the store or the pool, 0…1.
  public var share: Double { size == 0 ? 0 : Double(used) / Double(size) }

  /// Whether it is of a pool that is so full, of data or metadata, that a run gives up its snapshots:
  /// a pool that runs full stops the server too.
  public var isPoolNearlyFull: Bool { metadata.map { max(share, $0) >= 0.9 } ?? false }

  /// Reads the parameters of dm-snapshot's status: `24/65536 16` in sectors, or one of the words
  /// `Invalid`, `Overflow`, `Merge failed`, `Unknown` (lvm2, libdm-targets.c).
  public init(origin: VolumeName, snapshot: VolumeName, status: String) {
    let numbers = status.split(separator: " ").first?.split(separator: "/").compactMap {
      UInt64($0)
    }
    if let numbers, numbers.count == 2 {
      self.init(
        origin: origin, snapshot: snapshot, state: .valid, used: numbers[0] * 512,
        size: numbers[1] * 512)
    } else {
      let isInvalid = ["Invalid", "Overflow", "Merge failed"].contains(status)
      self.init(
        origin: origin, snapshot: snapshot, state: isInvalid ? .invalid : .unknown, used: 0, size: 0
      )
    }
  }
}

extension SnapshotFill {
  /// Reads the parameters of a thin device's status, `MAPPED HIGHEST` or the word `Fail` or `Error`,
  /// beside its pool's: a thin snapshot is worth as much as the pool that holds it.
  public init(
    origin: VolumeName, snapshot: VolumeName, thin status: String?, pool: ThinPoolStatus?
  ) {
    let words = (status ?? "").split(separator: " ")
    let state: State =
      if words == ["Fail"] || words == ["Error"] || pool?.trouble != nil {
        .invalid
      } else if words.count == 2, UInt64(words[0]) != nil, pool != nil { .valid } else { .unknown }
    self.init(
      origin: origin, snapshot: snapshot, state: state, used: pool?.usedData ?? 0,
      size: pool?.data ?? 0, metadata: pool?.metadataShare ?? 0)
  }
}

/// What a release gave back, and what it could not.
public struct ReleaseReport: Hashable, Sendable, Codable {
  public var removed: [VolumeName]
  /// Each with the reason.
  public var left: [Leftover]

  public struct Leftover: Hashable, Sendable, Codable {
    public var snapshot: VolumeName
    public var reason: String

    public init(snapshot: VolumeName, reason: String) {
      self.snapshot = snapshot
      self.reason = reason
    }
  }

  public init(removed: [VolumeName] = [], left: [Leftover] = []) {
    self.removed = removed
    self.left = left
  }

  public mutating func add(_ other: ReleaseReport) {
    removed += other.removed
    left += other.left
  }

  /// The failure to report when something is left, nil otherwise.
  public var failure: StillError? {
    guard !left.isEmpty else { return nil }
    let names = left.map { "\($0.snapshot) (\($0.reason))" }.joined(separator: ", ")
    return StillError(
      .leftBehind, "snapshots could not be removed: \(names)",
      hint: "End or unmount what holds them, then run pgstill release.")
  }
}

/// What one run holds on this host, or has left there.
public struct HeldSet: Hashable, Sendable, Codable {
  public struct Snapshot: Hashable, Sendable, Codable {
    public var name: VolumeName
    /// nil where its creation was cut short.
    public var origin: VolumeName?
    public var kind: SnapshotKind
    /// In bytes; see `SnapshotFacts.size`.
    public var size: UInt64
    /// nil where the kernel says nothing that can be read, as of a snapshot that was never taken.
    public var fill: SnapshotFill?

    public init(
      name: VolumeName, origin: VolumeName?, kind: SnapshotKind, size: UInt64, fill: SnapshotFill?
    ) {
      self.name = name
      self.origin = origin
      self.kind = kind
      self.size = size
      self.fill = fill
    }
  }

  public var run: RunID
  /// When the run began.
  public var began: CalendarTime
  /// Whether its broker is at work.
  public var isAlive: Bool
  public var origins: [VolumeName]
  public var snapshots: [Snapshot]
  /// When they were frozen, in microseconds since 1970; nil where they are not, or nobody knows.
  public var frozenMicroseconds: Int64?
  /// The names in `/dev/mapper` of its devices that are suspended now.
  public var suspendedDevices: [String]

  public init(
    run: RunID, isAlive: Bool, origins: [VolumeName], snapshots: [Snapshot],
    frozenMicroseconds: Int64? = nil, suspendedDevices: [String]
  ) {
    self.frozenMicroseconds = frozenMicroseconds
    self.run = run
    began = run.began
    self.isAlive = isAlive
    self.origins = origins
    self.snapshots = snapshots
    self.suspendedDevices = suspendedDevices
  }
}
