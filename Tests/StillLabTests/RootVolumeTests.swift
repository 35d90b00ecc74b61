import Foundation
import StillTestSupport
import Testing

extension LabTests {
  /// The whole system is on the volume that is frozen: whatever the broker touches inside the window,
  /// it would wait for itself.
  @Suite(.serialized)
  struct RootVolumeTests {
    private let root = "/mnt/root"

    @Test func theRootFileSystemCanBeFrozenWithPostgreSQLAndPgstillOnIt() throws {
      try Lab.cluster()
      let lines = try Tool.demand(
        Lab.helper("root"), "vg1/root", root, Lab.variable("LAB_TEMPLATE"),
        Lab.executable("pgstill"))
      let repository = try #require(lines.split(separator: "\n").last.map(String.init))
      defer { clear() }
      let table = "CREATE TABLE deep AS SELECT generate_series(1, 1000) AS n"
      _ = try Tool.demand(inside(["/usr/lib/postgresql/15/bin/psql", "-p", "5440", "-qc", table]))
      let heart = try Heartbeat([root + "/var/log", root + "/etc"])
      for _ in 1...3 {
        let backup = try Tool.run([
          "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LVM_SYSTEM_DIR=/etc/lvm",
          "DM_DISABLE_UDEV=1",
          "chroot",
          root, "/usr/bin/pgstill", "backup", "--pgdata", "/var/lib/pg", "--repo", "/backup",
          "--json",
        ])
        // A guard that had acted would have failed the run.
        #expect(backup.status == 0, "\(backup.talk)")
        let record = try #require(Lab.json(backup.output)["backup"] as? [String: Any])
        let freeze = try #require(record["freeze"] as? [String: Any])
        let volumes = try #require(freeze["volumes"] as? [[String: Any]])
        #expect(volumes.compactMap { $0["origin"] as? String } == ["vg1/root"])
        let window = try #require(freeze["windowMilliseconds"] as? Double)
        print("the root file system was frozen for \(window) ms")
      }
      let longest = try heart.end()
      print("the longest stall of the root file system: \(longest) s")
      #expect(longest < 5, "the root file system stood still for \(longest) s")
      #expect(try Lab.snapshots() == [])

      let place = try Lab.newFolder("restored")
      let restore = try Lab.pgstill(
        "restore", "latest", "--repo", repository, "--target", place + "/data")
      #expect(restore.status == 0, "\(restore.talk)")
      try Lab.withServer(place + "/data") { (port: Int) throws -> Void in
        #expect(try Lab.sql("SELECT count(*) FROM deep", port: port) == "1000")
      }
    }

    private func inside(_ words: [String]) -> [String] {
      [
        "chroot", root, "/usr/bin/setpriv", "--reuid", "postgres", "--regid", "postgres",
        "--init-groups", "--",
      ] + words
    }

    private func clear() {
      let stop = ["/usr/lib/postgresql/15/bin/pg_ctl", "-D", "/var/lib/pg", "-m", "fast", "stop"]
      _ = try? Tool.demand(inside(stop))
      _ = try? Tool.demand("umount", "-R", "-l", root)
      _ = try? Tool.demand("lvremove", "-qq", "-y", "vg1/root")
    }
  }
}
