import StillModel
import StillSystem
import SystemPackage

@testable import StillArchive

/// Folders that look like a data directory and a tablespace of it, without a server.
struct FakeCluster {
  static let versionFolder = "PG_15_202209061"

  let temporary: TemporaryFolder
  let data: OpenFolder
  let tablespace: OpenFolder

  init() throws {
    temporary = try TemporaryFolder()
    data = try temporary.folder("data")
    tablespace = try temporary.folder("space")
    try data.setPermissions(0o750)
    for folder in ["pg_wal/archive_status", "pg_replslot/slot", "pg_stat_tmp", "log", "pg_tblspc"] {
      _ = try temporary.folder("data/" + folder)
    }
    for (name, content) in [
      ("PG_VERSION", "15\n"), ("postmaster.pid", "4711\n"), ("postgresql.conf", "# nothing\n"),
      ("global/1262", "databases"), ("global/pg_control", "control"),
      ("global/pg_filenode.map", ""),
      ("base/5/1259", "table"), ("base/5/16390", "unlogged"), ("base/5/16390_init", "init"),
      ("base/5/t3_16391", "temporary"), ("base/5/pg_internal.init", "cache"),
      ("pg_wal/000000010000000000000001", "wal"), ("pg_replslot/slot/state", "slot"),
      ("log/postgresql.log", "line\n"),
    ] { try temporary.write(content, to: "data/" + name) }
    try data.makeLink("pg_tblspc/16402", to: Array(tablespace.path.string.utf8))
    for (name, content) in [
      ("\(FakeCluster.versionFolder)/5/16403", "in the tablespace"),
      ("PG_14_202107181/5/16403", "of another cluster"),
    ] { try temporary.write(content, to: "space/" + name) }
  }

  var dataTree: SourceTree {
    SourceTree(.dataDirectory(Exclusions(majorVersion: 15, isCleanlyShutDown: false)), root: data)
  }
  var tablespaceTree: SourceTree {
    SourceTree(
      .tablespace(
        oid: 16402, versionFolder: FakeCluster.versionFolder,
        Exclusions(majorVersion: 15, isCleanlyShutDown: false)),
      root: tablespace)
  }

  static let listed: Set<FilePath> = [
    "PG_VERSION", "postgresql.conf", "global/1262", "global/pg_control", "global/pg_filenode.map",
    "base/5/1259", "base/5/16390_init", "log/postgresql.log",
    "pg_tblspc/16402/PG_15_202209061/5/16403",
  ]

  /// Writes both archives and the manifest into the folder `backup`.
  func backUp(
    _ checksum: ChecksumAlgorithm = .crc32c, compression: Compression = .zstd(level: 1),
    times: ArchiveWriter.Times = .nanoseconds
  ) throws -> BackupManifest {
    let backup = try temporary.folder("backup")
    var files: [ManifestFile] = []
    for (name, tree) in [("base", dataTree), ("16402", tablespaceTree)] {
      _ = try writeArchive(
        named: name, in: backup, compression: compression, workers: 2, from: tree,
        manifest: &files, checksum: checksum, times: times)
    }
    let manifest = BackupManifest(
      systemIdentifier: nil, files: files,
      walRanges: [WALRange(timeline: 1, start: LSN(0x200_0028), end: LSN(0x200_0100))])
    try manifest.write(to: backup.file(BackupManifest.fileName, .create(permissions: 0o600)))
    return manifest
  }
}
