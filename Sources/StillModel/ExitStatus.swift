/// What the process tells its caller when it ends. The numbers are a promise to scripts: they never
/// change their meaning, and a test proves that they are unique.
public enum ExitStatus: Int32, CaseIterable, Codable, Sendable {
  case done = 0
  case failed = 1
  case incomplete = 3
  case busy = 10
  case precondition = 11
  case postgres = 12
  case volumes = 13
  case copying = 14
  case leftBehind = 15
  case overflow = 16
  case usage = 64

  /// One line for `--help` and the manual.
  public var meaning: String {
    switch self {
    case .done: "done"
    case .failed: "failed"
    case .incomplete: "done, but something is missing that is named"
    case .busy: "busy: another run holds the lock"
    case .precondition: "a precondition does not hold (space, a running server, a volume)"
    case .postgres: "PostgreSQL refused or failed"
    case .volumes: "LVM or device-mapper failed"
    case .copying: "reading, writing or checking files failed"
    case .leftBehind: "snapshots were left behind"
    case .overflow: "a snapshot overflowed"
    case .usage: "the command line is wrong"
    }
  }

  /// The table that `--help` prints, signals included.
  public static var table: String {
    var lines = allCases.map { "  \(padded($0.rawValue))  \($0.meaning)" }
    lines.append("  128+N  ended by signal N")
    return lines.joined(separator: "\n")
  }

  private static func padded(_ number: Int32) -> String {
    let digits = String(number)
    return String(repeating: " ", count: max(0, 5 - digits.count)) + digits
  }
}
