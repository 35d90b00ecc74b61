/// How the snapshots of one run filled, whatever that run came to.
public struct RunFill: Hashable, Sendable, Codable {
  /// A level from a moment on.
  public struct Level: Hashable, Sendable, Codable {
    /// Since the freeze.
    public var seconds: Double
    public var bytes: UInt64

    public init(seconds: Double, bytes: UInt64) {
      self.seconds = seconds
      self.bytes = bytes
    }
  }

  public struct Volume: Hashable, Sendable, Codable {
    public var origin: VolumeName
    /// What was used of its store, or of its pool, look by look.
    public var used: [Level]
    /// The size of its store, from each extension on; empty for a thin snapshot.
    public var sizes: [Level]
    public var hasOverflowed: Bool

    public init(origin: VolumeName, used: [Level], sizes: [Level], hasOverflowed: Bool = false) {
      self.origin = origin
      self.used = used
      self.sizes = sizes
      self.hasOverflowed = hasOverflowed
    }
  }

  public var title: String
  public var volumes: [Volume]
}

extension RunFill {
  /// - Returns: nil where nothing was frozen.
  public init?(_ record: BackupRecord) {
    guard let freeze = record.freeze else { return nil }
    title = "backup \(record.id) of cluster \(record.cluster), frozen at \(freeze.at.iso8601)"
    let extensions = record.extensions ?? []
    volumes = freeze.volumes.indices.map { index in
      let (origin, fill) = (freeze.volumes[index].origin, freeze.volumes[index].fill)
      let first = extensions.first { $0.origin == origin }?.from ?? fill.size
      return Volume(
        origin: origin, used: RunFill.used(record.fillHistory, index),
        sizes: fill.metadata == nil ? RunFill.sizes(of: origin, first, extensions) : [])
    }
  }

  /// - Returns: nil where nothing was frozen.
  public init?(_ record: HistoryRecord) {
    if let probe = record.probe {
      guard !probe.volumes.isEmpty else { return nil }
      title = "probe \(record.id) of cluster \(record.cluster), frozen at "
      title += (probe.began ?? record.id.began).iso8601
      volumes = zip(probe.plan.volumes, probe.volumes).enumerated().map { index, pair in
        Volume(
          origin: pair.0.origin,
          used: probe.samples.map { Level(seconds: $0.seconds, bytes: $0.used[index]) },
          sizes: pair.1.kind == .thin
            ? [] : RunFill.sizes(of: pair.0.origin, pair.0.snapshotSize, probe.extensions ?? []))
      }
    } else if let overflow = record.overflow {
      title = "backup \(record.id) of cluster \(record.cluster), given up, frozen at "
      title += overflow.began.iso8601
      volumes = zip(overflow.origins, overflow.sizes).enumerated().map { index, pair in
        let hasOverflowed = overflow.overflowed.contains(pair.0)
        let sizes =
          pair.1 > 0 ? RunFill.sizes(of: pair.0, pair.1, overflow.extensions) : []
        var used = RunFill.used(overflow.samples, index)
        // The kernel tells no numbers of one that is no longer valid: it was full.
        if hasOverflowed, let size = sizes.last, let last = used.indices.last {
          used[last].bytes = max(used[last].bytes, size.bytes)
        }
        return Volume(origin: pair.0, used: used, sizes: sizes, hasOverflowed: hasOverflowed)
      }
    } else {
      return nil
    }
  }

  private static func used(_ samples: [BackupRecord.FillSample], _ index: Int) -> [Level] {
    samples.compactMap {
      index < $0.used.count ? Level(seconds: $0.seconds, bytes: $0.used[index]) : nil
    }
  }

  private static func sizes(
    of origin: VolumeName, _ first: UInt64, _ extensions: [BackupRecord.Extension]
  ) -> [Level] {
    [Level(seconds: 0, bytes: first)]
      + extensions.filter { $0.origin == origin }.map { Level(seconds: $0.seconds, bytes: $0.to) }
  }
}
