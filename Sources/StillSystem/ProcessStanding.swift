import CStill
import StillModel

/// What a process hands on to the programs that it starts, and that makes them more or less to the
/// machine: its place in the queues for processors, disks and memory, and its limits.
public struct ProcessStanding: Sendable {
  /// -20 is the best.
  var niceness: Int
  /// Class and level as one number (ioprio_get(2)): less is better.
  var diskPriority: Int
  var processors: Set<Int>
  /// -1000 is never killed for its memory.
  var killScore: Int
  /// Soft limits, as `/proc/PID/limits` names them.
  var limits: [String: UInt64]

  /// Those that a server can run into.
  static let limitsOfInterest = [
    "Max open files", "Max processes", "Max locked memory", "Max address space", "Max data size",
    "Max stack size", "Max file size", "Max resident set",
  ]

  public init(of process: RunningProcess) throws {
    let fields = try process.text("stat").split(separator: ")").last?.split(separator: " ") ?? []
    // The 19th of proc(5), and the third stands first here.
    guard fields.count > 16, let niceness = Int(fields[16]),
      let score = Int(try process.text("oom_score_adj").filter { !$0.isWhitespace })
    else { throw StillError(.failed, "process \(process.id) cannot be examined") }
    self.niceness = niceness
    killScore = score
    let disk = Int(still_io_priority(process.id))
    // Where nothing was set it is the middle of the usual class, "best effort".
    diskPriority = disk >> 13 > 0 ? disk : 2 << 13 | 4
    let allowed = try process.text("status").split(separator: "\n").first {
      $0.hasPrefix("Cpus_allowed_list:")
    }
    processors = Self.numbers(allowed?.split(whereSeparator: \.isWhitespace).last ?? "")
    limits = [:]
    for line in try process.text("limits").split(separator: "\n") {
      guard let name = Self.limitsOfInterest.first(where: { line.hasPrefix($0 + " ") }),
        let soft = line.dropFirst(name.count).split(separator: " ").first
      else { continue }
      limits[name] = soft == "unlimited" ? .max : UInt64(soft)
    }
  }

  /// `0-3,8`
  static func numbers(_ list: some StringProtocol) -> Set<Int> {
    Set(
      list.split(separator: ",").flatMap { part -> [Int] in
        let ends = part.split(separator: "-").compactMap { Int($0) }
        guard let first = ends.first, let last = ends.last, first <= last else { return [] }
        return Array(first...last)
      })
  }

  /// What a program that this process starts has less of than `other` has.
  public func shortfalls(behind other: ProcessStanding) -> [String] {
    var found: [String] = []
    if niceness > other.niceness {
      found.append("niceness \(niceness), not \(other.niceness)")
    }
    if diskPriority > other.diskPriority {
      found.append(
        "I/O class \(diskPriority >> 13) level \(diskPriority & 0x1fff), not class "
          + "\(other.diskPriority >> 13) level \(other.diskPriority & 0x1fff)")
    }
    if !other.processors.isSubset(of: processors) {
      found.append("\(processors.count) processors, not \(other.processors.count)")
    }
    if killScore > other.killScore {
      found.append("oom_score_adj \(killScore), not \(other.killScore)")
    }
    for name in Self.limitsOfInterest {
      guard let own = limits[name], let before = other.limits[name], own < before else { continue }
      func shown(_ limit: UInt64) -> String { limit == .max ? "unlimited" : "\(limit)" }
      found.append("limit \"\(name)\" \(shown(own)), not \(shown(before))")
    }
    return found
  }
}
