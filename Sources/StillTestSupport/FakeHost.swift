import StillArchive
import StillEngine
import StillModel
import StillSystem
import SystemPackage

/// A running cluster whose files lie on two fake volumes: the data directory on one, a tablespace
/// and the linked `pg_wal` on the other. Everything but the volumes is real.
public final class FakeHost: Sendable {
  public let cluster: ThrowAwayCluster
  public let tablespace: FilePath
  public let wal: FilePath
  public let volumes: [FakeVolume]
  private let other: TestFolder
  public let sysfs: FakeSysfs

  /// The folder of configuration outside the data directory, where there is one.
  public let etc: FilePath?

  /// - Parameters:
  ///   - settings: for postgresql.conf.
  ///   - etc: puts all configuration into a folder outside the data directory: postgresql.conf,
  ///     which includes extra.conf, pg_hba.conf and pg_ident.conf.
  ///   - initdb: further arguments, for example `--data-checksums`.
  public init(
    settings: [String: String] = [:], initdb: [String] = [], etc hasEtc: Bool = false
  ) throws {
    other = try TestFolder(on: .memory, owner: FakeHost.owner)
    wal = other.path.appending("wal")
    tablespace = try other.folder("space", owner: FakeHost.owner)
    // Nobody writes on its own while a freeze copies.
    var quiet = ["autovacuum": "off", "checkpoint_timeout": "1h", "bgwriter_lru_maxpages": "0"]
    quiet.merge(settings) { $1 }
    cluster = try ThrowAwayCluster(
      settings: quiet, initdb: ["--waldir=\(wal)", "--wal-segsize=1"] + initdb, isStarted: !hasEtc)
    etc = hasEtc ? try FakeHost.moveConfiguration(of: cluster, to: other.path) : nil
    // The tests' own process is root, and connects as root.
    if Account.effectiveUser == 0 { try cluster.sql("CREATE ROLE root SUPERUSER LOGIN") }
    try cluster.sql("CREATE TABLESPACE elsewhere LOCATION '\(tablespace)'")
    volumes = [
      try FakeVolume("vg0/data", folders: [cluster.dataDirectory]),
      try FakeVolume("vg1/other-one", folders: [wal, tablespace]),
    ]
    sysfs = try FakeSysfs(volumes, written: 0)
  }

  /// Starts the cluster, too.
  private static func moveConfiguration(
    of cluster: ThrowAwayCluster, to parent: FilePath
  ) throws -> FilePath {
    let etc = parent.appending("etc")
    let script = """
      mkdir "$2" && mv "$1"/postgresql.conf "$1"/pg_hba.conf "$1"/pg_ident.conf "$2"/ &&
      echo "work_mem = 5MB" >"$2/extra.conf" &&
      printf "%s\n" "hba_file = '$2/pg_hba.conf'" "ident_file = '$2/pg_ident.conf'" \
        "include 'extra.conf'" >>"$2/postgresql.conf"
      """
    try cluster.runAsOwner(
      "/bin/sh", ["-ec", script, "sh", cluster.dataDirectory.string, etc.string])
    try cluster.run(
      "pg_ctl",
      [
        "start", "-w", "-s", "-D", cluster.dataDirectory.string, "-l", cluster.log.string, "-o",
        "-c config_file=\(etc)/postgresql.conf",
      ])
    return etc
  }

  /// Whom the cluster belongs to, and the repositories of these tests.
  public static var owner: String {
    Account.effectiveUser == 0
      ? "postgres" : Account.of(user: Account.effectiveUser)?.name ?? "postgres"
  }

  public func discovery() throws -> LayoutDiscovery { try sysfs.discovery() }

  public func provider(_ faults: FakeSnapshots.Fault...) throws -> FakeSnapshots {
    try FakeSnapshots(volumes, faults: faults)
  }

  public func request(_ repository: FilePath) -> BackupRequest {
    var request = BackupRequest(
      dataDirectory: cluster.dataDirectory, repository: repository, workers: 2)
    request.cluster = "main"
    request.consistency = .snapshot
    // Everything lies on two file systems here, so the repository is on one of them.
    request.allowsRepositoryOnOrigin = true
    return request
  }

  /// Backs up; what is not given is as usual.
  @discardableResult
  public func backUp(
    _ request: BackupRequest, with provider: FakeSnapshots? = nil,
    _ observer: any Observer = Recorder(), _ cancellation: Cancellation = Cancellation()
  ) throws -> BackupResult {
    try backup(
      request, with: try provider ?? self.provider(), observer, cancellation,
      discovery: try discovery())
  }
}
