import StillModel

/// How an archive is compressed. Written and read as `zstd`, `zstd:3`, `gzip`, `gzip:9`, `lz4`, `none`.
public enum Compression: Hashable, Sendable {
  /// Level 1 (fastest) to 19.
  case zstd(level: Int)
  /// Level 1 (fastest) to 12, libdeflate's range.
  case gzip(level: Int)
  /// Has no level.
  case lz4
  case none

  public static let zstdLevels = 1...19
  public static let gzipLevels = 1...12

  /// What the levels are when none is named.
  public static let standard = Compression.zstd(level: 1)
  private static let standardGzipLevel = 6

  /// Reads the form above; nil for an unknown method and for a level out of range.
  public init?(_ text: some StringProtocol) {
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    let level = parts.count == 2 ? Int(parts[1]) : nil
    if parts.count == 2, level == nil { return nil }
    switch parts[0] {
    case "zstd" where Compression.zstdLevels.contains(level ?? 1): self = .zstd(level: level ?? 1)
    case "gzip" where Compression.gzipLevels.contains(level ?? Compression.standardGzipLevel):
      self = .gzip(level: level ?? Compression.standardGzipLevel)
    case "lz4" where level == nil: self = .lz4
    case "none" where level == nil: self = .none
    default: return nil
    }
  }

  /// Ends the names of archives that are compressed so: `.zst`, `.gz`, `.lz4` or nothing.
  public var fileSuffix: String {
    switch self {
    case .zstd: ".zst"
    case .gzip: ".gz"
    case .lz4: ".lz4"
    case .none: ""
    }
  }
}

extension Compression: CustomStringConvertible {
  public var description: String {
    switch self {
    case .zstd(let level): "zstd:\(level)"
    case .gzip(let level): "gzip:\(level)"
    case .lz4: "lz4"
    case .none: "none"
    }
  }
}

extension Compression: TextCodable {
  public static var nameOfText: String { "a compression" }
  public init?(codedText: String) { self.init(codedText) }
  public var codedText: String { description }
}
