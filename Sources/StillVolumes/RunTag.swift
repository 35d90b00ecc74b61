import StillModel
import StillSystem

/// The tags that mark our snapshots; nothing without them is ever removed.
enum RunTag {
  static let ours = "pgstill"
  private static let runPrefix = "pgstill.run="
  private static let hostPrefix = "pgstill.host="

  static func of(_ run: RunID) -> String { runPrefix + run.description }

  static func run(in tags: [String]) -> RunID? {
    tags.lazy.filter { $0.hasPrefix(runPrefix) }.compactMap { RunID($0.dropFirst(runPrefix.count)) }
      .first
  }

  /// This host's (machine-id(5)): a volume group on shared disks shows the snapshots of other hosts
  /// too, whose runs look dead from here.
  static let host: String = {
    let bytes = (try? OpenFile.open("/etc/machine-id").readAll(limit: 4096)) ?? []
    let digits = String(decoding: bytes, as: UTF8.self).filter { $0.isASCII && $0.isHexDigit }
    return hostPrefix + (digits.isEmpty ? "unknown" : digits)
  }()

  static func isOfThisHost(_ tags: [String]) -> Bool { tags.contains(host) }
}
