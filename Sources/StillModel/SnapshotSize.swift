/// How large a snapshot's COW store shall be (`--snapshot-size`).
public enum SnapshotSize: Hashable, Sendable, CustomStringConvertible {
  /// From what earlier backups of the cluster needed, else a share of the origin.
  case automatic
  /// In bytes.
  case bytes(UInt64)
  /// In hundredths of the origin's size.
  case percentOfOrigin(UInt64)
  /// In hundredths of what its volume group has free, which the origins of one group share by size.
  case percentOfFree(UInt64)
  /// In hundredths of what the origin's file system holds.
  case percentOfUsed(UInt64)

  /// No store is smaller than this, in bytes, unless the size is given in bytes.
  public static let least: UInt64 = 64 << 20

  /// Reads `10G`, `15%ORIGIN` (or `15%`), `50%FREE`, `30%USED` or `auto`; nil for anything else.
  public init?(_ text: String) {
    let parts = text.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2 else {
      if text == "auto" {
        self = .automatic
      } else if let bytes = ByteCount.parse(text), bytes > 0 {
        self = .bytes(bytes)
      } else {
        return nil
      }
      return
    }
    guard let percent = UInt64(parts[0]), percent > 0 else { return nil }
    switch parts[1].isEmpty ? "ORIGIN" : parts[1].uppercased() {
    case "ORIGIN" where percent <= 110: self = .percentOfOrigin(percent)
    case "FREE" where percent <= 100: self = .percentOfFree(percent)
    case "USED" where percent <= 200: self = .percentOfUsed(percent)
    default: return nil
    }
  }

  public var description: String {
    switch self {
    case .automatic: "auto"
    case .bytes(let bytes): ByteCount.text(bytes)
    case .percentOfOrigin(let percent): "\(percent)% of the origin"
    case .percentOfFree(let percent): "\(percent)% of what is free"
    case .percentOfUsed(let percent): "\(percent)% of what is used"
    }
  }
}

/// What the size of one snapshot is decided from.
public struct SizingBasis: Hashable, Sendable {
  public var volume: VolumeFacts
  /// What the origin's file system holds, in bytes.
  public var used: UInt64
  /// The part of the group's free room that falls to this origin, in bytes.
  public var freeShare: UInt64
  /// The most that each earlier backup of the cluster needed for this origin, in bytes, the latest
  /// first.
  public var peaks: [UInt64]
  /// The sizes of the stores of those that ran full, in bytes; they are not in `peaks`.
  public var overflowed: [UInt64]

  public init(
    volume: VolumeFacts, used: UInt64, freeShare: UInt64, peaks: [UInt64],
    overflowed: [UInt64] = []
  ) {
    self.volume = volume
    self.used = used
    self.freeShare = freeShare
    self.peaks = peaks
    self.overflowed = overflowed
  }

  /// A store that could hold every chunk of the origin with the table that says which (16 bytes a
  /// chunk of 4 KiB, and one chunk of header): more is never needed.
  public static func most(for volume: VolumeFacts) -> UInt64 {
    wholeExtents(volume.size + volume.size / 256 + (1 << 20), of: volume)
  }

  /// So many bytes or a little more: whole extents. The largest number there is gives a little less.
  public static func wholeExtents(_ bytes: UInt64, of volume: VolumeFacts) -> UInt64 {
    let extent = max(volume.extentSize, 1)
    let (sum, isTooLarge) = bytes.addingReportingOverflow(extent - 1)
    return (isTooLarge ? .max : sum) / extent * extent
  }
}

/// The size of one snapshot's COW store, and where it comes from.
public struct SizedSnapshot: Hashable, Sendable {
  /// In bytes: whole extents.
  public var size: UInt64
  public var reason: String
}

extension SnapshotSize {
  /// So many earlier backups have to have left their fill history before it decides.
  static let nightsNeeded = 3
  /// So many times the most that was ever needed; the doubling is for the night that is not like the
  /// others.
  public static let safety: UInt64 = 2

  /// The size to ask LVM for: whole extents, and never more than a store that could hold every chunk
  /// of the origin.
  public func resolved(for basis: SizingBasis) -> SizedSnapshot {
    let volume = basis.volume
    let wanted: UInt64
    var reason = description
    switch self {
    case .automatic: (wanted, reason) = automatic(basis)
    case .bytes(let bytes): wanted = bytes
    case .percentOfOrigin(let percent): wanted = max(Self.least, volume.size / 100 * percent)
    case .percentOfFree(let percent): wanted = max(Self.least, basis.freeShare / 100 * percent)
    case .percentOfUsed(let percent): wanted = max(Self.least, basis.used / 100 * percent)
    }
    let size = SizingBasis.wholeExtents(wanted, of: volume)
    return SizedSnapshot(size: min(size, SizingBasis.most(for: volume)), reason: reason)
  }

  /// The documented policy: twice the most that the earlier backups needed, once there are three of
  /// them; a fifth of the origin before, ample for the hour that a copy takes. One that overflowed needed
  /// at least twice what it had. Where the group has less it is what the group has, down to half of what it
  /// would be without an overflow: a snapshot that fills is extended in time or given up, so a smaller one
  /// costs no more than the run.
  private func automatic(_ basis: SizingBasis) -> (UInt64, String) {
    let nights = basis.peaks.count
    let usual: UInt64
    var reason: String
    if nights >= Self.nightsNeeded, let peak = basis.peaks.max() {
      usual = max(Self.least, peak * Self.safety)
      reason = "twice the \(ByteCount.text(peak)) that the last \(nights) backups needed at most"
    } else {
      usual = max(Self.least, basis.volume.size / 5)
      reason = "20% of the origin, until \(Self.nightsNeeded) backups have left their fill history"
    }
    var ideal = usual
    if let full = basis.overflowed.max(), full * Self.safety * Self.safety > usual {
      ideal = full * Self.safety * Self.safety
      reason = "twice the \(ByteCount.text(full * Self.safety)) that a backup needed at least, for "
      reason += "\(ByteCount.text(full)) overflowed"
    }
    let extent = max(basis.volume.extentSize, 1)
    let free = basis.freeShare / extent * extent
    guard free < ideal, free >= max(usual / 2, Self.least) else { return (ideal, reason) }
    reason += "; less, for the group has no more"
    return (free, reason)
  }
}
