import Foundation
import StillTestSupport
import Testing

extension LabTests {
  /// Where a cluster's folders can lie, and that a backup of each is whole.
  @Suite(.serialized)
  struct PlaceTests {
    @Test func aBindMountOfASubfolderIsFollowedToItsVolume() throws {
      try Lab.cluster()
      let bound = try Lab.newFolder("bound")
      try Tool.demand("mount", "--bind", Lab.dataDirectory, bound)
      defer { _ = try? Tool.demand("umount", bound) }
      try backUpAndStart(dataDirectory: bound, cluster: "bound")
    }

    @Test func twoFoldersOnOneVolumeGiveOneSnapshot() throws {
      try Lab.cluster()
      let second = "/mnt/data/second"
      try Tool.demand("install", "-d", "-o", "postgres", "-m", "700", second)
      _ = try Lab.sql("CREATE TABLESPACE second LOCATION '\(second)'")
      _ = try Lab.sql("CREATE TABLE in_second TABLESPACE second AS SELECT 42 AS answer")
      defer { _ = try? Lab.sql("DROP TABLE in_second"); _ = try? Lab.sql("DROP TABLESPACE second") }
      let record = try backUpAndStart(dataDirectory: Lab.dataDirectory, cluster: "two") {
        (port: Int) throws -> Void in
        #expect(try Lab.sql("SELECT answer FROM in_second", port: port) == "42")
      }
      let freeze = try #require(record["freeze"] as? [String: Any])
      let origins = try #require(freeze["volumes"] as? [[String: Any]]).compactMap {
        $0["origin"] as? String
      }
      #expect(origins == ["vg0/data", "vg0/wal", "vg1/tbs"])
    }

    @Test func aMountOnPgWalTakesThePlaceOfALink() throws {
      try Lab.cluster()
      let wal = Lab.dataDirectory + "/pg_wal"
      let server = ["runuser", "-u", "postgres", "--", "pg_ctl", "-D", Lab.dataDirectory, "-w"]
      let start = server + ["-l", "/var/log/postgresql/lab.log", "start"]
      try Tool.demand(server + ["stop"])
      try Tool.demand("rm", wal)
      try Tool.demand("install", "-d", "-o", "postgres", "-m", "700", wal)
      try Tool.demand("mount", "--bind", "/mnt/wal/pg_wal", wal)
      try Tool.demand(start)
      defer {
        _ = try? Tool.demand(server + ["stop"])
        _ = try? Tool.demand("umount", wal)
        _ = try? Tool.demand("rmdir", wal)
        _ = try? Tool.demand("ln", "-s", "/mnt/wal/pg_wal", wal)
        _ = try? Tool.demand(start)
      }
      try backUpAndStart(dataDirectory: Lab.dataDirectory, cluster: "mounted")
    }

    @Test func theLinesOfTheReadmeRestoreABackupWithoutPgstill() throws {
      try Lab.cluster()
      let readme = try String(
        contentsOfFile: Lab.variable("LAB") + "/../../README.md", encoding: .utf8)
      let block = try #require(
        readme.components(separatedBy: "<!-- A test runs exactly these lines. -->\n```sh\n").last?
          .components(separatedBy: "```").first)
      #expect(block.contains("tar -I zstd"))
      let oid = try Lab.sql("SELECT oid FROM pg_tablespace WHERE spcname = 'far'")
      #expect(block.contains("/\(oid).tar.zst"), "the README's tablespace is not this cluster's")
      _ = try Lab.sql(
        "DROP TABLE IF EXISTS kept; CREATE TABLE kept TABLESPACE far AS SELECT 7 AS n")
      let repository = try Lab.newFolder("repo")
      let backup = try Lab.pgstill("backup", "--pgdata", Lab.dataDirectory, "--repo", repository)
      #expect(backup.status == 0, "\(backup.talk)")
      let place = try Lab.newFolder("by-hand")
      let restored = try Tool.run([
        "runuser", "-u", "postgres", "--", "env", "BACKUP=\(repository)/pg/latest",
        "DATA=\(place)/data", "SPACE=\(place)/space", "sh", "-eu", "-c", block,
      ])
      #expect(restored.status == 0)
      #expect(restored.talk == "", "tar complains: \(restored.talk)")
      try Lab.withServer(place + "/data") { port in
        #expect(try Lab.sql("SELECT n FROM kept", port: port) == "7")
        let path = try Lab.sql(
          "SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'far'", port: port)
        #expect(path == place + "/space")
      }
      _ = try Lab.sql("DROP TABLE kept")
    }

    @discardableResult
    private func backUpAndStart(
      dataDirectory: String, cluster: String, _ ask: (Int) throws -> Void = { _ in }
    ) throws -> [String: Any] {
      let repository = try Lab.newFolder("repo")
      let mark = UUID().uuidString
      _ = try Lab.sql("DROP TABLE IF EXISTS marks; CREATE TABLE marks AS SELECT '\(mark)' AS mark")
      let backup = try Lab.pgstill(
        "backup", "--pgdata", dataDirectory, "--repo", repository, "--cluster", cluster, "--json")
      #expect(backup.status == 0, "\(backup.talk)")
      let record = try #require(Lab.json(backup.output)["backup"] as? [String: Any])
      let place = try Lab.newFolder("restored")
      var words = ["restore", "latest", "--repo", repository, "--target", place + "/data"]
      for space in record["tablespaces"] as? [[String: Any]] ?? [] {
        let target = try #require(space["target"] as? String)
        let oid = try #require(space["oid"] as? Int)
        words += ["--tablespace-mapping", "\(target)=\(place)/\(oid)"]
      }
      let restore = try Lab.pgstill(words)
      #expect(restore.status == 0, "\(restore.talk)")
      try Lab.withServer(place + "/data") { port in
        #expect(try Lab.sql("SELECT mark FROM marks", port: port) == mark)
        try ask(port)
      }
      return record
    }
  }
}
