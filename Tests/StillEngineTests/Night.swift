import StillArchive
import StillEngine
import StillModel
import StillPostgres
import StillSystem
import StillTestSupport
import SystemPackage

/// A cluster with something of everything that a backup meets, and backups of it in every
/// compression: made once for all tests that only look at them.
final class Night: @unchecked Sendable {
  static let compressions: [Compression] = [.zstd(level: 1), .gzip(level: 6), .none]
  static let shared = Result { try Night() }

  let host: FakeHost
  let place: TestFolder
  let provider: FakeSnapshots
  let recorder: Recorder
  let results: [Compression: BackupResult]
  /// A session with a temporary table, open all the while.
  private let visitor: Session

  var repository: FilePath { place.path.appending("repo") }
  var result: BackupResult {
    get throws {
      guard let result = results[.zstd(level: 1)] else { throw Trouble("no backup") }
      return result
    }
  }

  init() throws {
    let host = try FakeHost()
    self.host = host
    place = try TestFolder(on: .disk, owner: FakeHost.owner)
    try host.cluster.sql(
      "CREATE TABLE here AS SELECT generate_series(1, 1000) AS n",
      "CREATE TABLE there TABLESPACE elsewhere AS SELECT generate_series(1, 2000) AS n",
      "CREATE UNLOGGED TABLE volatile AS SELECT generate_series(1, 3000) AS n",
      "SELECT pg_create_physical_replication_slot('replica', true)",
      "CHECKPOINT")
    visitor = try host.cluster.session()
    _ = try visitor.query("CREATE TEMP TABLE passing AS SELECT 1 AS n")
    for (folder, file) in [
      ("base/pgsql_tmp", "pgsql_tmp4711.0"), ("pg_stat_tmp", "litter"), ("base/1", "pgsql_tmp1.2"),
    ] {
      let path = host.cluster.dataDirectory.pushing(FilePath(folder))
      try host.cluster.runAsOwner("/bin/mkdir", ["-p", path.string])
      try host.cluster.runAsOwner("/bin/cp", ["/etc/passwd", path.appending(file).string])
    }
    provider = try host.provider()
    // What is committed after the freeze is not in the backup.
    recorder = Recorder { event in
      if case .began(.copy) = event {
        _ = try? host.cluster.sql("INSERT INTO here SELECT generate_series(1001, 1500)")
      }
    }
    var results: [Compression: BackupResult] = [:]
    for compression in Night.compressions {
      var request = host.request(place.path.appending("repo"))
      request.compression = compression
      results[compression] =
        if compression == .zstd(level: 1) {
          try host.backUp(request, with: provider, recorder)
        } else {
          try host.backUp(request)
        }
    }
    self.results = results
  }

  func backup(_ compression: Compression = .zstd(level: 1)) throws -> BackupFolder {
    guard let result = results[compression] else { throw Trouble("no backup") }
    return try Repository.open(repository).onlyCluster().backup(result.record.id.description)
  }

  /// The names in an archive, as GNU tar has them.
  func names(in archive: String) throws -> [String] {
    let path = try result.path.appending(archive)
    return try Tool.demand("tar", "-tf", path.string).split(separator: "\n").map(String.init)
  }
}
