import Foundation
import StillModel
import StillTestSupport
import Synchronization
import SystemPackage
import Testing

/// The lab that these tests run in: real LVM, device-mapper and file systems, and a cluster on three
/// volumes that they share. `scripts/test` brings them there.
enum Lab {
  static let isHere = Environment["LAB"] != nil
  static let reason: Comment = "needs device-mapper: scripts/test runs it in the lab"

  /// Whether long matrices run whole, and not only in a few of their cases.
  static let runsAll = Environment["LAB_ALL"] != nil

  static let dataDirectory = "/mnt/data/pg"
  static let tablespace = "/mnt/tbs/space"

  /// Volumes and a running cluster, made by the first test that asks.
  static func cluster() throws {
    try built.withLock { built in
      guard !built else { return }
      built = true
      try Tool.demand([helper("volumes")] + (layout == "classic" ? [] : ["--\(layout)"]))
      try Tool.demand(helper("cluster"), variable("LAB_TEMPLATE"))
      // Others have to find their way to what is mounted there.
      try Tool.demand("chmod", "755", "/mnt")
    }
  }

  /// What the cluster's volumes are: classic, thin or mixed.
  static let layout = Environment["LAB_LAYOUT"] ?? "classic"

  private static let built = Mutex(false)

  /// Thin volumes beside the cluster's, on a disk of their own: vg2/ta (ext4) and vg2/tb (XFS).
  static func thinVolumes() throws {
    try cluster()
    try builtThin.withLock { built in
      guard !built else { return }
      built = true
      try Tool.demand("vgcreate", "-qq", "vg2", "/dev/ubdc")
      try Tool.demand(
        "lvcreate", "-qq", "-y", "--type", "thin-pool", "-n", "pool", "-L", "600M", "vg2")
      for (name, kind) in [("ta", "ext4"), ("tb", "xfs")] {
        try Tool.demand("lvcreate", "-qq", "-y", "-V", "320M", "-n", name, "--thinpool", "vg2/pool")
        try Tool.demand("mkfs.\(kind)", "-q", "/dev/vg2/\(name)")
        try Tool.demand("mkdir", "-p", "/mnt/\(name)")
        try Tool.demand("mount", "/dev/vg2/\(name)", "/mnt/\(name)")
      }
    }
  }

  private static let builtThin = Mutex(false)

  static func helper(_ name: String) throws -> String { try variable("LAB") + "/" + name }

  static func variable(_ name: String) throws -> String {
    guard let value = Environment[name] else { throw Trouble("\(name) is not set") }
    return value
  }

  /// A folder of postgres' on none of the cluster's volumes.
  static func newFolder(_ stem: String) throws -> String {
    let path = "/mnt/\(stem)-\(UUID().uuidString.prefix(8))"
    try Tool.demand("install", "-d", "-o", "postgres", "-g", "postgres", "-m", "700", path)
    return path
  }

  /// A folder of postgres' on a volume of `$LAB/volumes`.
  static func folder(on volume: VolumeName) throws -> FilePath {
    let path = "/mnt/\(volume.volume)/trial"
    try Tool.demand("install", "-d", "-o", "postgres", "-g", "postgres", "-m", "700", path)
    return FilePath(path)
  }

  static func postgresUser() throws -> UInt32 {
    let text = try Tool.demand("id", "-u", "postgres")
    return try #require(UInt32(text.trimmingCharacters(in: .whitespacesAndNewlines)))
  }

  /// Runs pgstill as root, as a timer would.
  static func pgstill(_ words: String..., hooks: [String: String] = [:]) throws -> Tool.Outcome {
    try pgstill(words, hooks: hooks)
  }

  static func pgstill(_ words: [String], hooks: [String: String] = [:]) throws -> Tool.Outcome {
    let variables = hooks.map { "\($0)=\($1)" }
    return try Tool.run(["env"] + variables + [executable("pgstill")] + words)
  }

  /// For `hooks`: the process that reaches this step rests there.
  static func pause(at step: String, seconds: Double) -> [String: String] {
    [
      "PGSTILL_TEST_PAUSE_AT": step,
      "PGSTILL_TEST_PAUSE_MS": "\(Int(seconds * 1000))",
    ]
  }

  /// A program of the build under test.
  static func executable(_ name: String) -> String {
    FilePath(CommandLine.arguments[0]).removingLastComponent().appending(name).string
  }

  static var programPath: FilePath { FilePath(executable("pgstill")) }

  /// The snapshots that are there, by LVM's own words.
  static func snapshots() throws -> [String] {
    try Tool.demand("lvs", "--noheadings", "-o", "lv_name", "-S", "origin!=\"\"")
      .split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
  }

  /// The devices that are suspended now. One without a table keeps nobody waiting.
  static func suspendedDevices() throws -> [String] {
    try Tool.demand(
      "dmsetup", "info", "-c", "--noheadings", "-o", "name,suspended,tables_loaded", "--separator",
      " "
    )
    .split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
    .filter { $0.count == 3 && $0[1] == "Suspended" && ["Live", "Both"].contains($0[2]) }
    .map { $0[0] }
  }

  /// SQL on the cluster; what it printed.
  static func sql(_ text: String, port: Int = 5432) throws -> String {
    try Tool.demand(
      "runuser", "-u", "postgres", "--", "psql", "-p", "\(port)", "-XAtq", "-v", "ON_ERROR_STOP=1",
      "-c", text
    ).trimmingCharacters(in: .whitespacesAndNewlines)
  }

  /// Starts a restored cluster, lets `body` ask it, and stops it.
  static func withServer(_ dataDirectory: String, _ body: (Int) throws -> Void) throws {
    let log = dataDirectory + ".log"
    let server = ["runuser", "-u", "postgres", "--", "pg_ctl", "-D", dataDirectory, "-w"]
    let start = try Tool.run(
      server + ["-t", "120", "-l", log, "-o", "-p 5433 -c max_connections=20", "start"])
    guard start.status == 0 else {
      throw Trouble("\(start.output)\n\(try String(contentsOfFile: log, encoding: .utf8))")
    }
    let outcome = Result { try body(5433) }
    try Tool.demand(server + ["-m", "fast", "stop"])
    try outcome.get()
  }

  /// What a published backup's `--json` says, by the path of keys.
  static func json(_ text: String) throws -> [String: Any] {
    guard let value = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
    else { throw Trouble("not a JSON object: \(text)") }
    return value
  }
}

/// The environment of the tests.
enum Environment {
  static subscript(_ name: String) -> String? { ProcessInfo.processInfo.environment[name] }
}
