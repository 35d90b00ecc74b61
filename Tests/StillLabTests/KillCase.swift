import Foundation
import StillTestSupport
import Testing

/// Who is ended, how, and at which step of a backup.
struct KillCase: CustomStringConvertible {
  enum Target: String, CaseIterable {
    case coordinator, broker
    case guardian = "guard"
    case brokerAndCoordinator = "broker+coordinator"
    case brokerAndGuard = "broker+guard"
  }

  var target: Target
  var signal: Int32
  var step: String

  var description: String {
    "\(target.rawValue) \(signal == SIGKILL ? "SIGKILL" : "SIGTERM") at \(step)"
  }

  /// The steps in their order. Those of the coordinator are its phases, and three more.
  static let steps: [String] = words(
    """
    started discover.begin discover.end plan.begin plan.end prepare.begin swept created1 created2 \
    created3 disarmed prepare.end freeze.begin \(window.joined(separator: " ")) frozen freeze.end \
    opened partial copy.begin copy.end publish.begin record published publish.end release.begin \
    removed1 removed2 removed3 release.end
    """)

  private static func words(_ text: String) -> [String] {
    text.split(separator: " ").map(String.init)
  }

  /// Here nothing can be noted at the very moment, and here there are guards.
  static let window = words(
    """
    synced suspended1 suspended2 suspended3 all-suspended taken1 taken2 taken3 resumed1 resumed2 \
    resumed3
    """)

  static var all: [KillCase] {
    var cases: [KillCase] = []
    for target in Target.allCases {
      for signal in [SIGKILL, SIGTERM] {
        for step in steps where isPossible(target, step) {
          cases.append(KillCase(target: target, signal: signal, step: step))
        }
      }
    }
    return cases
  }

  static let some: [KillCase] = [
    KillCase(target: .coordinator, signal: SIGKILL, step: "created1"),
    KillCase(target: .coordinator, signal: SIGTERM, step: "all-suspended"),
    KillCase(target: .coordinator, signal: SIGTERM, step: "copy.begin"),
    KillCase(target: .coordinator, signal: SIGKILL, step: "record"),
    KillCase(target: .coordinator, signal: SIGKILL, step: "published"),
    KillCase(target: .broker, signal: SIGKILL, step: "created2"),
    KillCase(target: .broker, signal: SIGKILL, step: "suspended1"),
    KillCase(target: .broker, signal: SIGKILL, step: "taken1"),
    KillCase(target: .broker, signal: SIGKILL, step: "opened"),
    KillCase(target: .broker, signal: SIGKILL, step: "removed1"),
    KillCase(target: .broker, signal: SIGTERM, step: "all-suspended"),
    KillCase(target: .guardian, signal: SIGKILL, step: "all-suspended"),
    KillCase(target: .brokerAndCoordinator, signal: SIGKILL, step: "suspended3"),
    KillCase(target: .brokerAndGuard, signal: SIGKILL, step: "resumed1"),
  ]

  /// Thin snapshots are taken by other means, with nothing of their own to disarm.
  static let someThin: [KillCase] = [
    KillCase(target: .broker, signal: SIGKILL, step: "created2"),
    KillCase(target: .broker, signal: SIGKILL, step: "disarmed"),
    KillCase(target: .broker, signal: SIGKILL, step: "taken1"),
    KillCase(target: .brokerAndGuard, signal: SIGKILL, step: "taken3"),
    KillCase(target: .brokerAndCoordinator, signal: SIGKILL, step: "resumed2"),
    KillCase(target: .broker, signal: SIGKILL, step: "removed1"),
  ]

  private static func isPossible(_ target: Target, _ step: String) -> Bool {
    switch target {
    case .guardian, .brokerAndGuard: window.contains(step)
    default: true
    }
  }

  private var place: Int { KillCase.steps.firstIndex(of: step) ?? 0 }

  private func isPast(_ other: String) -> Bool {
    place >= KillCase.steps.firstIndex(of: other) ?? 0
  }

  /// The kind of process that notes the step.
  var kind: String {
    let isPhase = step.contains(".") || ["partial", "record", "published"].contains(step)
    return isPhase ? "coordinator" : "broker"
  }

  /// Whether the backup is there afterwards.
  var publishes: Bool { isPast("published") || [0, 15].contains(status) }

  /// What the coordinator ends with, as the manual says.
  var status: Int32 {
    switch (target, signal) {
    case (.coordinator, SIGKILL), (.brokerAndCoordinator, SIGKILL): 128 + SIGKILL
    // What was published before the signal stays, and the rest is done in order: nothing failed.
    case (.coordinator, _), (.brokerAndCoordinator, _): isPast("published") ? 0 : 128 + SIGTERM
    // A broker or a guard lets nothing but SIGKILL end it.
    case (_, SIGTERM): 0
    case (.broker, _) where isPast("release.end"): 0
    case (.broker, _) where isPast("published"): 15
    default: 13
    }
  }
}

/// A backup that rests at a step.
final class KillVictim {
  let marks: Marks
  let broker: Int32
  private let run: Background
  private let step: String

  var coordinator: Int32 { run.process }

  /// What it has said so far.
  var talk: String { (try? String(contentsOfFile: marks.path + ".talk", encoding: .utf8)) ?? "" }

  init(
    at step: String, rest: Double, _ repository: String, _ consistency: String = "auto"
  ) throws {
    marks = try Marks()
    self.step = step
    let hooks = Lab.pause(at: step, seconds: rest).map { "\($0)=\($1)" }.joined(separator: " ")
    run = try Background(
      "exec env \(hooks) PGSTILL_TEST_MARKS=\(marks.path) \(Lab.executable("pgstill")) backup "
        + "--pgdata \(Lab.dataDirectory) --repo \(repository) --freeze-deadline 2 "
        + "--consistency \(consistency) "
        + ">\(marks.path).talk 2>&1")
    broker = try marks.wait(for: "started", of: "broker")
  }

  /// Waits until it rests inside the freeze window.
  func waitInside() throws {
    _ = try marks.wait(for: step, of: "broker")
    try waitUntil("there are guards") { Lab.guards(of: broker).count == 2 }
    usleep(300_000)
  }

  func wait() -> Int32 { run.wait() }
}

/// The cluster under a writing load, and the repository that all cases share.
final class KillSite {
  private let notes: String
  private let repository: String
  private let heart: Heartbeat
  private var backups: [String] = []

  init() throws {
    notes = try Lab.newFolder("load")
    repository = try Lab.newFolder("repo")
    try Tool.demand(Lab.helper("load"), "start", notes, "1")
    // It takes all that is left of the lab's one processor, and no more.
    try Tool.demand("renice", "-n", "19", "-u", "postgres")
    heart = try Heartbeat(["/mnt/data", "/mnt/wal", "/mnt/tbs"])
  }

  /// - Returns: a line of the table.
  func run(_ kill: KillCase, releasedByNextRun: Bool) throws -> String {
    let victim = try KillVictim(at: kill.step, rest: 1.5, repository)
    if KillCase.window.contains(kill.step) {
      try victim.waitInside()
    } else {
      do {
        _ = try victim.marks.wait(for: kill.step, of: kill.kind)
      } catch {
        throw Trouble("\(error); it said: \(victim.talk)")
      }
    }
    let guards = Lab.guards(of: victim.broker)
    let targets: [Int32] =
      switch kill.target {
      case .coordinator: [victim.coordinator]
      case .broker: [victim.broker]
      case .guardian: Array(guards.prefix(1))
      case .brokerAndCoordinator: [victim.broker, victim.coordinator]
      case .brokerAndGuard: Array(guards.prefix(1)) + [victim.broker]
      }
    let suspended = try Lab.suspendedDevices().count
    // Who is killed second would else have a moment to notice the first, and end by himself.
    if targets.count > 1 { for target in targets { _ = Foundation.kill(target, SIGSTOP) } }
    #expect(targets.allSatisfy { Foundation.kill($0, kill.signal) == 0 }, "\(kill)")
    let status = victim.wait()
    #expect(status == kill.status, "\(kill): \(victim.talk)")
    try waitUntil("everything runs again") { try Lab.suspendedDevices().isEmpty }
    try waitUntil("our processes end") { try Lab.processes() == [] }

    let after = try Lab.published(repository)
    #expect(Array(after.prefix(backups.count)) == backups, "\(kill): other backups changed")
    #expect(after.count - backups.count == (kill.publishes ? 1 : 0), "\(kill)")
    backups = after
    let left = try Lab.snapshots().count
    let release: Tool.Outcome
    if releasedByNextRun {
      release = try Lab.pgstill("backup", "--pgdata", Lab.dataDirectory, "--repo", repository)
      backups = try Lab.published(repository)
      #expect(try Tool.demand("find", repository, "-name", ".partial*") == "", "\(kill)")
    } else {
      release = try Lab.pgstill("release")
    }
    #expect(release.status == 0, "\(kill): \(release.talk)")
    try expectNothingLeft("\(kill)")
    return "\(kill): status \(status), \(suspended) suspended then, \(left) snapshots left, "
      + "\(kill.publishes ? "published" : "not published"), gone with the "
      + (releasedByNextRun ? "next run" : "release")
  }

  private func expectNothingLeft(_ what: String) throws {
    #expect(try Lab.snapshots() == [], "\(what)")
    #expect(try Lab.ownDevices() == [], "\(what)")
    #expect(try Lab.suspendedDevices() == [], "\(what)")
    #expect(try Lab.processes() == [], "\(what)")
    let mounts = try String(contentsOfFile: "/proc/mounts", encoding: .utf8)
    #expect(!mounts.contains("_still_"), "\(what)")
    let runs = try FileManager.default.contentsOfDirectory(atPath: "/run/pgstill")
    #expect(runs.filter { $0 != ".gate" } == [], "\(what)")
    let load = try Tool.run([Lab.helper("load"), "running", notes])
    #expect(load.status == 0, "\(what): \(load.output)")
  }

  /// The load went on all the time and lost nothing; the next run removes the last partial.
  func end() throws {
    let longest = try heart.end()
    print("the longest stall over all cases: \(longest) s")
    #expect(longest < 4, "somebody waited for \(longest) s")
    try Tool.demand(Lab.helper("load"), "stop", notes)
    let now = Int(Date().timeIntervalSince1970 * 1e6)
    let check = try Tool.run([Lab.helper("load"), "check", "5432", notes, "\(now)"])
    print(check.output)
    #expect(check.status == 0, "\(check.output) \(check.talk)")
    let last = try Lab.pgstill("backup", "--pgdata", Lab.dataDirectory, "--repo", repository)
    #expect(last.status == 0, "\(last.talk)")
    #expect(try Tool.demand("find", repository, "-name", ".partial*") == "")
  }
}

extension Lab {
  /// The backups that `list` shows.
  static func published(_ repository: String) throws -> [String] {
    let list = try Lab.pgstill("list", "--repo", repository, "--json")
    let backups = try Lab.json(list.output)["backups"] as? [[String: Any]] ?? []
    return backups.compactMap { $0["id"] as? String }
  }

  /// Processes of ours, by number and name.
  static func processes() throws -> [String] {
    try Tool.run(["pgrep", "-af", "pgstill (backup|broker)|still-guard"]).output
      .split(separator: "\n").map(String.init).filter { !$0.contains("pgrep") }
  }
}
