import StillModel
import StillSystem
import SystemPackage
import Testing

@testable import StillArchive

@Suite struct TreeWalkTests {
  private func walk(
    _ tree: SourceTree
  ) throws -> (paths: [String], remarks: WalkRemarks) {
    let seen = Seen()
    let remarks = try TreeWalk.run(tree) { seen.paths.append($0.path.string) }
    return (seen.paths, remarks)
  }

  private final class Seen { var paths: [String] = [] }

  @Test func aDataDirectoryInItsOrder() throws {
    let cluster = try FakeCluster()
    let (paths, remarks) = try walk(cluster.dataTree)
    #expect(
      paths == [
        "", "PG_VERSION", "base", "base/5", "base/5/1259", "base/5/16390_init", "global",
        "global/1262", "global/pg_filenode.map", "log", "log/postgresql.log", "pg_replslot",
        "pg_stat_tmp", "pg_tblspc", "pg_tblspc/16402", "pg_wal", "pg_wal/archive_status",
        "postgresql.conf", "global/pg_control",
      ])
    #expect(remarks.links.isEmpty)
    #expect(
      remarks.leftOut.map(\.path) == [
        "base/5/16390", "base/5/pg_internal.init", "base/5/t3_16391", "pg_replslot", "pg_stat_tmp",
        "pg_wal", "postmaster.pid",
      ])
  }

  @Test func ofATablespaceOnlyTheClustersOwnFolder() throws {
    let cluster = try FakeCluster()
    let (paths, _) = try walk(cluster.tablespaceTree)
    let version = FakeCluster.versionFolder
    #expect(paths == ["", version, "\(version)/5", "\(version)/5/16403"])
    try cluster.tablespace.removeTree(FilePath(version))
    #expect(throws: StillError.self) { try walk(cluster.tablespaceTree) }
  }

  @Test func anEmptyFolderIsNoDataDirectory() throws {
    let temporary = try TemporaryFolder()
    let tree = SourceTree(
      .dataDirectory(Exclusions(majorVersion: 15, isCleanlyShutDown: false)),
      root: try temporary.open())
    let error = #expect(throws: StillError.self) { try walk(tree) }
    #expect(error?.message.contains("holds no global/pg_control") == true)
    #expect(error?.status == .copying)
  }

  @Test func linksAndSpecialFilesAreReported() throws {
    let cluster = try FakeCluster()
    try cluster.data.makeLink("server.key", to: Array("/etc/ssl/key".utf8))
    try Program.run("mkfifo", "pipe", in: cluster.data.path.string)
    let (paths, remarks) = try walk(cluster.dataTree)
    #expect(paths.contains("server.key"))
    #expect(!paths.contains("pipe"))
    #expect(remarks.links == ["server.key"])
    #expect(remarks.specialFiles == ["pipe"])
  }

  @Test func linkedFoldersThatAreEmptiedBecomeFolders() throws {
    let cluster = try FakeCluster()
    try cluster.data.removeTree("pg_wal")
    try cluster.data.makeLink("pg_wal", to: Array("/elsewhere".utf8))
    let seen = Kinds()
    let remarks = try TreeWalk.run(cluster.dataTree) { entry in
      guard entry.path.starts(with: "pg_wal"), case .folder = entry.kind else { return }
      seen.modes[entry.path] = entry.metadata.mode
    }
    #expect(seen.modes == ["pg_wal": 0o750, "pg_wal/archive_status": 0o750])
    #expect(remarks.links.isEmpty)
  }

  private final class Kinds { var modes: [FilePath: UInt32] = [:] }

  @Test func mountedFileSystemsAreEntered() throws {
    let cluster = try FakeCluster()
    let mounted = try cluster.temporary.folder("mounted")
    try cluster.temporary.write("other", to: "mounted/16500")
    _ = try cluster.temporary.folder("mounted/lost+found")
    _ = try cluster.temporary.folder("data/base/7")
    var tree = cluster.dataTree
    tree.grafts = ["base/7": mounted, "pg_wal": mounted]
    let paths = try walk(tree).paths
    #expect(paths.contains("base/7/16500"))
    #expect(!paths.contains("base/7/lost+found"))
    #expect(!paths.contains("pg_wal/16500"))
    tree.grafts["base/8"] = mounted
    #expect(throws: StillError.self) { try walk(tree) }
  }

  @Test func foldersWithArchivesOfTheirOwnArePassedBy() throws {
    let cluster = try FakeCluster()
    try cluster.temporary.write("x", to: "data/spaces/one/file")
    var tree = cluster.dataTree
    tree.elsewhere = ["spaces/one"]
    let paths = try walk(tree).paths
    #expect(paths.contains("spaces"))
    #expect(!paths.contains("spaces/one"))
  }

  @Test func aTreeOfAnotherKindIsKeptWhole() throws {
    let cluster = try FakeCluster()
    let tree = SourceTree(.other(prefix: "etc"), root: cluster.data)
    #expect(try walk(tree).paths.contains("postmaster.pid"))
  }

  /// Within a block, over many, and one that the workers read.
  @Test(arguments: [5, 50_000, 300_000]) func aFrozenFileThatChangesIsAnError(
    _ size: Int
  ) throws {
    let temporary = try TemporaryFolder()
    let content = sampleBytes(size)
    try temporary.write(content, to: "file")
    for announced in [size - 1, size + 1] {
      var member = plainFile("file")
      member.size = UInt64(announced)
      func archive(ifChanged changes: TarWriter.ChangingFiles) throws -> [UInt8] {
        try makeArchive(.none) {
          try $0.add(
            member,
            CopiedFile(
              try temporary.file("file"), size: member.size, ifChanged: changes, checksum: .none,
              isReadOnce: true, nil))
        }
      }
      let error = #expect(throws: StillError.self) { _ = try archive(ifChanged: .refuse) }
      #expect(error?.status == .copying)
      let expected = announced < size ? Array(content.dropLast()) : content + [0]
      #expect(try entries(of: archive(ifChanged: .fit)).map(\.content) == [expected])
    }
  }
}
