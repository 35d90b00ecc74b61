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
        let backup = try Tool.run(words())
        // A guard that had acted would have failed the run.
        #expect(backup.status == 0, "\(backup.talk)")
        let record = try #require(Lab.json(backup.output)["backup"] as? [String: Any])
        let freeze = try #require(record["freeze"] as? [String: Any])
        let volumes = try #require(freeze["volumes"] as? [[String: Any]])
        #expect(volumes.compactMap { $0["origin"] as? String } == ["vg1/root"])
        let window = try #require(freeze["windowMilliseconds"] as? Double)
        print("the root file system was frozen for \(window) ms")
      }
      try killBrokerInsideTheWindow()
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

    /// A backup inside; these variables are the broker's too.
    private func words(_ hooks: [String: String] = [:]) -> [String] {
      ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LVM_SYSTEM_DIR=/etc/lvm"]
        + ["DM_DISABLE_UDEV=1"] + hooks.map { "\($0)=\($1)" }
        + ["chroot", root, "/usr/bin/pgstill", "backup", "--pgdata", "/var/lib/pg"]
        + ["--repo", "/backup", "--json"]
    }

    /// Its guards are all that can let the root file system run again, and no page of theirs can be
    /// read from it.
    private func killBrokerInsideTheWindow() throws {
      let marks = try Marks()
      var hooks = Lab.pause(at: "all-suspended", seconds: 60)
      hooks["PGSTILL_TEST_MARKS"] = marks.path
      let line = words(hooks).joined(separator: " ")
      let backup = try Background("exec \(line) --freeze-deadline 60")
      defer { backup.end() }
      let broker = try marks.wait(for: "all-suspended", of: "broker")
      let devices = try Devices()
      try waitUntil("the root file system is frozen") { devices.isSuspended("vg1-root") }
      try "3".write(toFile: "/proc/sys/vm/drop_caches", atomically: false, encoding: .utf8)
      usleep(1_000_000)
      #expect(devices.isSuspended("vg1-root"))
      kill(broker, SIGKILL)
      try waitUntil("the root file system runs again") { !devices.isSuspended("vg1-root") }
      #expect(backup.wait() == 13)
      try Tool.demand("sync", root + "/etc")
      let release = try Lab.pgstill("release")
      #expect(release.status == 0, "\(release.talk)")
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
