import StillEngine
import StillModel

/// `status --max-age`: what a monitoring plugin says, one line with performance data
/// (monitoring-plugins.org, "Plugin Output for Nagios").
struct MonitoringDocument: Displayable {
  /// The exit statuses of such plugins.
  enum State: Int32, Encodable {
    case ok = 0
    case warning = 1
    case critical = 2
    case unknown = 3

    var word: String {
      switch self {
      case .ok: "OK"
      case .warning: "WARNING"
      case .critical: "CRITICAL"
      case .unknown: "UNKNOWN"
      }
    }
  }

  var state: State
  /// What is wrong, the worst first; what there is, where nothing is.
  var findings: [String]
  var clusters: [ClusterStatus]
  /// In seconds.
  var maxAge: Double?

  init(unknown reason: String) {
    state = .unknown
    findings = [reason]
    clusters = []
  }

  /// - Parameters:
  ///   - held: what runs hold on this host, as far as it could be asked.
  ///   - oldest: seconds that the last backup of each cluster may be old.
  init(_ clusters: [ClusterStatus], _ held: [HeldSet], oldest: Double) {
    self.clusters = clusters
    maxAge = oldest
    var critical: [String] = []
    var warning: [String] = []
    var fine: [String] = []
    if clusters.isEmpty { critical.append("the repository holds no cluster") }
    for status in clusters {
      let name = status.cluster
      if let latest = status.latest {
        let words = "\(name): last backup \(Figures.duration(Double(latest.age))) ago"
        if Double(latest.age) > oldest {
          critical.append(words)
        } else {
          fine.append(words)
        }
        warning += latest.faults.map { "\(name): \(latest.id): \($0)" }
      } else {
        critical.append(
          "\(name): there is no backup" + (status.damaged.isEmpty ? "" : " that can be read"))
      }
      warning += status.damaged.map { "\(name): damaged: \($0)" }
    }
    for set in held {
      critical += set.suspendedDevices.map { "/dev/mapper/\($0) is suspended" }
      if !set.isAlive {
        warning.append("run \(set.run) died; pgstill release gives back what it holds")
      }
    }
    state = !critical.isEmpty ? .critical : !warning.isEmpty ? .warning : .ok
    findings = state == .ok ? fine : critical + warning
  }

  /// `|` begins performance data, and a second line what nobody shows.
  var text: String {
    let words = findings.joined(separator: "; ").map { $0 == "|" || $0.isNewline ? " " : $0 }
    let figures = performance.isEmpty ? "" : " | " + performance.joined(separator: " ")
    return "PGSTILL \(state.word) - \(String(words))\(figures)\n"
  }

  /// `'main age'=18720s;;93600;0`
  private var performance: [String] {
    clusters.flatMap { status in
      let limit = maxAge.map { "\(UInt64($0))" } ?? ""
      let age = status.latest.map { ["'\(status.cluster) age'=\($0.age)s;;\(limit);0"] } ?? []
      return age + ["'\(status.cluster) backups'=\(status.backups);;;0"]
        + status.needs.compactMap { need in
          need.peaks.first.map { "'\(status.cluster) \(need.origin)'=\($0)B;;;0" }
        }
    }
  }
}
