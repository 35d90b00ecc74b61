import Foundation
import StillTestSupport
import Testing

extension LabTests {
  /// What goes wrong on real volumes: each with its message, hint and exit status, and nothing left.
  @Suite(.serialized)
  struct TroubleTests {
    @Test func tooLittleRoomInAVolumeGroupSaysHowMuchIsNeededAndThere() throws {
      try Lab.cluster()
      let repository = try Lab.newFolder("repo")
      let backup = try Lab.pgstill(
        "backup", "--pgdata", Lab.dataDirectory, "--repo", repository, "--snapshot-size", "110%",
        "--consistency", "snapshot")
      #expect(backup.status == 11)
      #expect(backup.talk.contains("volume group vg0 has "))
      #expect(backup.talk.contains("the snapshots of data, wal need "))
      #expect(backup.talk.contains("hint: Use a smaller --snapshot-size, or add a disk"))
      #expect(try Lab.snapshots() == [])
    }

    @Test func aRepositoryOnAnOriginIsRefusedUnlessAllowed() throws {
      try Lab.cluster()
      let repository = "/mnt/data/repo"
      try Tool.demand("install", "-d", "-o", "postgres", repository)
      let words = ["backup", "--pgdata", Lab.dataDirectory, "--repo", repository]
      let refused = try Lab.pgstill(words + ["--consistency", "snapshot"])
      #expect(refused.status == 11)
      #expect(refused.talk.contains("is on vg0/data, a volume that is being snapshotted"))
      #expect(refused.talk.contains("--allow-repo-on-origin"))
      let allowed = try Lab.pgstill(words + ["--allow-repo-on-origin"])
      #expect(allowed.status == 0, "\(allowed.talk)")
      try Tool.demand("rm", "-rf", repository)
    }

    @Test func aTablespaceThatIsOnNoVolumeIsNamedWithItsDevice() throws {
      try Lab.cluster()
      let place = try Lab.newFolder("plain")
      _ = try Lab.sql("CREATE TABLESPACE plain LOCATION '\(place)'")
      let backup = try Lab.pgstill(
        "backup", "--pgdata", Lab.dataDirectory, "--repo", try Lab.newFolder("repo"),
        "--consistency", "snapshot")
      _ = try Lab.sql("DROP TABLESPACE plain")
      #expect(backup.status == 11)
      #expect(backup.talk.contains("tablespace "))
      #expect(backup.talk.contains("\(place) is on tmpfs"))
      #expect(backup.talk.contains("cannot be snapshotted"))
    }

    @Test func anOverflowEndsTheRunAndPublishesNothing() throws {
      try Lab.cluster()
      let repository = try Lab.newFolder("repo")
      _ = try Lab.sql(
        "DROP TABLE IF EXISTS slow; CREATE TABLE slow AS SELECT repeat(md5(g::text), 30) AS t "
          + "FROM generate_series(1, 60000) g; CHECKPOINT")
      // A store of one extent, a writer that fills it, and a copy that takes its time.
      let writer = try Background(
        "sleep 1; while :; do dd if=/dev/urandom of=/mnt/data/noise bs=1M count=60 conv=fsync; done"
      )
      let backup = try Lab.pgstill(
        "backup", "--pgdata", Lab.dataDirectory, "--repo", repository, "--snapshot-size", "4M",
        "--compress", "zstd:19", "--jobs", "1")
      writer.end()
      try Tool.demand("rm", "-f", "/mnt/data/noise")
      _ = try Lab.sql("DROP TABLE slow")
      #expect(backup.status == 16, "\(backup.talk)")
      #expect(backup.talk.contains("overflowed"))
      #expect(backup.talk.contains("hint: "))
      #expect(try Tool.demand("find", repository, "-name", "*.tar*") == "")
      #expect(try Lab.pgstill("list", "--repo", repository).output == "")
      #expect(try Lab.snapshots() == [])
    }

    @Test func aSecondRunAtTheSameTimeIsRefused() throws {
      try Lab.cluster()
      let repository = try Lab.newFolder("repo")
      let first = try Background(
        "exec env PGSTILL_TEST_PAUSE_AT=all-suspended PGSTILL_TEST_PAUSE_MS=3000 \(Lab.executable("pgstill")) backup --pgdata "
          + "\(Lab.dataDirectory) --repo \(repository) --freeze-deadline 30")
      try waitUntil("the first holds the lock") {
        FileManager.default.fileExists(atPath: repository + "/pg/.lock")
      }
      let second = try Lab.pgstill(
        "backup", "--pgdata", Lab.dataDirectory, "--repo", repository)
      #expect(first.wait() == 0)
      #expect(second.status == 10)
      #expect(second.talk.contains("another run is writing backups of cluster pg: run "))
      #expect(try Lab.snapshots() == [])
    }

    @Test func aSignalEndsTheRunInOrder() throws {
      try Lab.cluster()
      let repository = try Lab.newFolder("repo")
      let run = try Background(
        "exec \(Lab.executable("pgstill")) backup --pgdata \(Lab.dataDirectory) --repo "
          + "\(repository) --compress zstd:19 --jobs 1")
      try waitUntil("it copies") {
        try !Tool.demand("find", repository, "-name", "base.tar*").isEmpty
      }
      kill(run.process, SIGINT)
      #expect(run.wait() == 130)
      #expect(try Tool.demand("find", repository, "-name", "*.tar*") == "")
      #expect(try Lab.snapshots() == [])
    }

    @Test func whatARunThatWasKilledLeavesIsReleased() throws {
      try Lab.cluster()
      let repository = try Lab.newFolder("repo")
      let run = try Background(
        "exec \(Lab.executable("pgstill")) backup --pgdata \(Lab.dataDirectory) --repo "
          + "\(repository) --compress zstd:19 --jobs 1")
      try waitUntil("it copies") {
        try !Tool.demand("find", repository, "-name", "base.tar*").isEmpty
      }
      try Tool.demand("pkill", "-KILL", "-f", "pgstill broker")
      kill(run.process, SIGKILL)
      _ = run.wait()
      #expect(try Lab.snapshots().count == 3)
      // A snapshot of somebody else's is none of our business.
      try Tool.demand("lvcreate", "-qq", "-y", "-s", "-L", "8M", "-n", "stranger", "vg0/data")
      let release = try Lab.pgstill("release")
      #expect(release.status == 0, "\(release.talk)")
      #expect(release.output.split(separator: "\n").count == 3)
      #expect(try Lab.snapshots() == ["stranger"])
      try Tool.demand("lvremove", "-qq", "-y", "vg0/stranger")
      let next = try Lab.pgstill("backup", "--pgdata", Lab.dataDirectory, "--repo", repository)
      #expect(next.status == 0, "\(next.talk)")
      #expect(next.talk.contains("note: removed .partial-"))
    }

    @Test func aCreationThatWasCutShortIsReleasedAndNothingElse() throws {
      try Lab.cluster()
      let run = "20200101T000000Z-abcdef"
      let identity = try? String(contentsOfFile: "/etc/machine-id", encoding: .utf8)
        .trimmingCharacters(in: .whitespacesAndNewlines)
      let machine = identity.flatMap { $0.isEmpty ? nil : $0 } ?? "unknown"
      func volume(_ name: String, host: String) throws {
        try Tool.demand(
          "lvcreate", "-qq", "-y", "-L", "8M", "-n", name, "--addtag", "pgstill", "--addtag",
          "pgstill.run=\(run)", "--addtag", "pgstill.host=\(host)", "vg0")
      }
      // As LVM leaves it before it is a snapshot; a stranger with our tags; another host's.
      try volume("data_still_\(run)", host: machine)
      try volume("stranger", host: machine)
      try volume("wal_still_\(run)", host: "0123456789abcdef0123456789abcdef")
      let release = try Lab.pgstill("release")
      #expect(release.status == 0, "\(release.talk)")
      #expect(release.output == "removed vg0/data_still_\(run)\n")
      try Tool.demand("lvremove", "-qq", "-y", "vg0/stranger", "vg0/wal_still_\(run)")
    }

    @Test func anOwnerWithoutRootNeedsSudoAndIsToldTheLine() throws {
      try Lab.cluster()
      let repository = try Lab.newFolder("repo")
      let words = [
        "runuser", "-u", "postgres", "--", Lab.executable("pgstill"), "backup", "--pgdata",
        Lab.dataDirectory, "--repo", repository, "--consistency", "snapshot",
      ]
      let refused = try Tool.run(words)
      #expect(refused.status == 11)
      let hint = "allow this in sudoers: "
      let line = try #require(
        refused.talk.split(separator: "\n").first { $0.contains(hint) }?.components(
          separatedBy: hint
        ).last)
      // Exactly what the hint says.
      try (line + "\n").write(toFile: "/etc/sudoers.d/pgstill", atomically: true, encoding: .utf8)
      let allowed = try Tool.run(words)
      #expect(allowed.status == 0, "\(allowed.talk)")
      try Tool.demand("rm", "/etc/sudoers.d/pgstill")
      #expect(try Lab.snapshots() == [])
    }

    @Test func aDryRunAndACheckChangeNothing() throws {
      try Lab.cluster()
      let repository = "/mnt/repo-that-is-not-there"
      let words = ["--pgdata", Lab.dataDirectory, "--repo", repository]
      let plan = try Lab.pgstill(["backup", "--dry-run", "--verbose"] + words)
      #expect(plan.status == 0, "\(plan.talk)")
      #expect(plan.talk.contains("discover took "))
      for volume in ["vg0/data", "vg0/wal", "vg1/tbs"] { #expect(plan.output.contains(volume)) }
      let check = try Lab.pgstill(["check"] + words)
      // /mnt belongs to root, so postgres cannot make the repository there.
      #expect(check.status == 11)
      #expect(check.output.contains("NO  repository: "))
      #expect(check.output.contains("install -d -o postgres"))
      #expect(!FileManager.default.fileExists(atPath: repository))
      #expect(try Lab.snapshots() == [])
    }
  }
}
