import StillArchive
import StillEngine
import StillModel
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

/// A whole night with a real server and real files; only the volumes are copies.
@Suite struct NightTests {
  private func theNight() throws -> Night { try Night.shared.get() }

  @Test("The phases come in the order of the design, and the provider is asked in that of its own")
  func order() throws {
    let night = try theNight()
    #expect(
      night.recorder.phases == [.discover, .plan, .prepare, .freeze, .copy, .publish, .release])
    let calls = night.provider.calls
    #expect(
      calls.filter { $0 != .fill } == [.makeWay, .survey, .prepare, .freeze, .open, .release])
    #expect(calls.last == .release)
    #expect(calls.count { $0 == .fill } >= 2, "at the beginning and after the last byte")
    #expect(night.provider.snapshots.isEmpty)
  }

  @Test("A backup has an archive for each tablespace, for the data directory and for WAL")
  func files() throws {
    let night = try theNight()
    for (compression, result) in night.results {
      let suffix = ".tar" + compression.fileSuffix
      let oid = try #require(result.record.tablespaces.first?.oid)
      let names = try OpenFolder.open(result.path).names().map(\.string)
      #expect(
        Set(names)
          == [
            "base\(suffix)", "\(oid)\(suffix)", "pg_wal\(suffix)", "backup.json", "backup_manifest",
          ])
    }
  }

  @Test("The record says what was backed up, from where and when")
  func record() throws {
    let night = try theNight()
    let record = try night.backup().record()
    #expect(record == (try night.result.record), "what was returned is what was written")
    #expect(record.cluster == "main")
    #expect(record.consistency == .snapshot)
    #expect(record.server.dataDirectory == night.host.cluster.dataDirectory.string)
    #expect(record.tablespaces.map(\.target) == [night.host.tablespace.string])
    #expect(record.walLink == night.host.wal.string)
    let freeze = try #require(record.freeze)
    #expect(freeze.volumes.map(\.origin.description) == ["vg0/data", "vg1/other-one"])
    #expect(freeze.volumes.allSatisfy { $0.fill.state == .valid && $0.fill.used > 0 })
    #expect(record.fillHistory.count >= 2)
    // Each look while it was copied knows how far that was.
    let copied = record.fillHistory.compactMap(\.copied)
    #expect(copied == copied.sorted() && !copied.isEmpty)
    #expect(copied.last == record.bytesRead)
    #expect(record.wal.redo <= record.wal.checkpoint)
    #expect(record.wal.checkpoint < (try #require(record.wal.lsnBeforeFreeze)))
    #expect(!record.wal.segmentsKept.isEmpty)
    #expect(record.missing.isEmpty)
    #expect(record.configuration.isEmpty)
    #expect(record.phases.map(\.name) == ["discover", "plan", "prepare", "freeze", "copy"])
    #expect(record.bytesRead > 10 << 20)
    #expect(record.bytesWritten < record.bytesRead)
    #expect(record.files > 900)
  }

  @Test("The latest backup is the one that was made last, and a link leads there")
  func latest() throws {
    let night = try theNight()
    let cluster = try Repository.open(night.repository).onlyCluster()
    let all = try cluster.backups()
    #expect(Set(all) == Set(night.results.values.map(\.record.id)))
    let latest = try cluster.backup("latest")
    #expect(latest.id == all.max())
    #expect(all == all.sorted())
    let link = try OpenFolder.open(night.repository).folder("main").target(ofLink: "latest")
    #expect(night.results.values.contains { Array($0.record.id.description.utf8) == link })
  }

  @Test("Nothing but backups, the link and the lock is left in the repository")
  func noPartials() throws {
    let night = try theNight()
    let names = try OpenFolder.open(night.repository).folder("main").names().map(\.string)
    #expect(names.filter { RunID($0) == nil }.sorted() == [".lock", "latest"])
  }

  @Test("Every backup verifies, whatever its compression", arguments: Night.compressions)
  func verifies(_ compression: Compression) throws {
    let night = try theNight()
    let result = try verify(night.backup(compression), workers: 2, Recorder(), Cancellation())
    #expect(result.problems == [])
    let record = try #require(night.results[compression]).record
    #expect(Int(result.files) == record.files)
    #expect(result.bytes == record.bytesRead)
  }

  @Test("GNU tar extracts every archive without a word", arguments: Night.compressions)
  func isExtractedByTar(_ compression: Compression) throws {
    let night = try theNight()
    let result = try #require(night.results[compression])
    for archive in result.record.archives {
      let place = try TestFolder(on: .disk)
      let outcome = try Tool.run([
        "tar", "-xpf", result.path.appending(archive.name).string, "-C", place.path.string,
      ])
      #expect(outcome.status == 0)
      #expect(outcome.talk == "")
      let files = try Tool.demand("find", place.path.string, "-type", "f")
      #expect(files.split(separator: "\n").count == archive.files)
    }
  }

  @Test("Excluded content is not in the archive, and its folders are")
  func exclusions() throws {
    let night = try theNight()
    let names = try night.names(in: "base.tar.zst")
    for folder in [
      "pg_wal", "pg_replslot", "pg_dynshmem", "pg_notify", "pg_serial", "pg_snapshots",
      "pg_stat_tmp", "pg_subtrans",
    ] {
      let inside = names.filter { $0.trimmingDots.hasPrefix(folder + "/") }.map(\.trimmingDots)
      let expected =
        folder == "pg_wal" ? ["pg_wal/", "pg_wal/archive_status/"] : [folder + "/"]
      #expect(inside == expected)
    }
    #expect(names.contains { $0.hasSuffix("PG_VERSION") })
    for word in ["postmaster.pid", "postmaster.opts", "pgsql_tmp", "pg_internal.init"] {
      #expect(!names.contains { $0.contains(word) }, "\(word)")
      let live = try Tool.demand(
        "find", night.host.cluster.dataDirectory.string, "-name", "\(word)*")
      #expect(!live.isEmpty, "the cluster has \(word)")
    }
  }

  @Test("Of a temporary table nothing is kept, of an unlogged one the init fork")
  func relations() throws {
    let night = try theNight()
    let names = try night.names(in: "base.tar.zst").map(\.trimmingDots)
    let temporary = #/base/[0-9]+/t[0-9]+_[0-9]+/#
    #expect(!names.contains { $0.wholeMatch(of: temporary) != nil })
    let path = try night.host.cluster.sql("SELECT pg_relation_filepath('volatile')")
    #expect(names.filter { $0.hasPrefix(path) } == [path + "_init"])
    #expect(
      try Tool.demand("ls", night.host.cluster.dataDirectory.pushing(FilePath(path)).string) != "")
    let logged = try night.host.cluster.sql("SELECT pg_relation_filepath('here')")
    #expect(names.contains(logged))
  }

  @Test("The control file is the last one in its archive")
  func controlFileIsLast() throws {
    #expect(try theNight().names(in: "base.tar.zst").last?.trimmingDots == "global/pg_control")
  }

  @Test(
    "A backup is restored with its tablespace and WAL elsewhere, starts, and has every row",
    arguments: Night.compressions)
  func restores(_ compression: Compression) throws {
    let night = try theNight()
    let place = try TestFolder(on: .memory, owner: FakeHost.owner)
    var request = RestoreRequest(target: place.path.appending("data"), workers: 2)
    request.tablespaceMapping = [(night.host.tablespace, place.path.appending("space"))]
    request.walFolder = place.path.appending("wal")
    let recorder = Recorder()
    let result = try restore(
      request, of: night.backup(compression), recorder, Cancellation())
    #expect(recorder.phases == [.locate, .plan, .unpack, .settle])
    #expect(Int(result.files) == (try #require(night.results[compression])).record.files)
    #expect(result.notes == [])

    let target = try OpenFolder.open(request.target)
    #expect(try target.metadata().mode == 0o700)
    #expect(
      String(decoding: try target.target(ofLink: "pg_wal"), as: UTF8.self) == "\(place.path)/wal")

    let backup = try night.backup(compression).path
    let check = try Tool.run([
      night.host.cluster.programs.appending("pg_verifybackup").string, "-m",
      backup.appending("backup_manifest").string, request.target.string,
    ])
    #expect(check.status == 0, "\(check.talk)")
    #expect(check.output.contains("backup successfully verified"))

    let server = try RestoredServer(request.target, like: night.host.cluster)
    let first = compression == .zstd(level: 1)
    #expect(try server.sql("SELECT count(*) FROM here") == (first ? "1000" : "1500"))
    #expect(try server.sql("SELECT sum(n) FROM there") == "2001000")
    #expect(try server.sql("SELECT count(*) FROM volatile") == "0", "empty after recovery")
    #expect(
      try server.sql("SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE oid > 16383")
        == "\(place.path)/space")
    #expect(try server.sql("SELECT count(*) FROM pg_replication_slots") == "0")
    #expect(try server.sql("INSERT INTO there VALUES (0) RETURNING n") == "0", "and it can be used")
    let log = try Tool.demand("cat", server.log.string)
    #expect(log.contains("database system was interrupted"), "as after a power cut")
    #expect(!log.contains("PANIC") && !log.contains("FATAL"))
  }

  @Test("A plan changes nothing and asks nothing but the survey")
  func planOnly() throws {
    let night = try theNight()
    let provider = try night.host.provider()
    let place = try TestFolder(on: .disk)
    let plan = try planBackup(
      night.host.request(place.path.appending("new")), with: provider, Recorder(),
      discovery: try night.host.discovery())
    #expect(provider.calls == [.survey])
    #expect(try OpenFolder.open(place.path).names().isEmpty)
    #expect(plan.volumes.map(\.origin.description) == ["vg0/data", "vg1/other-one"])
    // A fifth of 1 GiB, in extents of 4 MiB.
    #expect(plan.volumes.map(\.snapshotSize) == [208 << 20, 208 << 20])
    #expect(plan.layout.walIsLinked)
    #expect(plan.layout.wal.path == night.host.wal.string)
    #expect(plan.repository == "\(place.path)/new/main")
  }

  @Test("A check finds everything good where a backup can be made")
  func check() throws {
    let night = try theNight()
    let report = StillEngine.check(
      night.host.request(night.repository), with: try night.host.provider(),
      discovery: try night.host.discovery())
    #expect(report.items.filter { !$0.isGood }.map(\.detail) == [])
    #expect(
      report.items.map(\.name) == [
        "server", "role", "volume", "volume", "repository", "mode", "snapshots", "need",
      ])
    let need = try #require(report.items.last?.detail)
    #expect(
      need.contains(
        #/^tonight needs about \S+ \S+ on vg0 \(95 %\), \S+ \S+ are free; tonight .* on vg1/#),
      "\(need)")
    #expect(report.status == .done)
    #expect(report.plan != nil)
  }
}

extension String {
  /// GNU tar shows a member's name as it is stored, with or without `./` in front.
  fileprivate var trimmingDots: String { hasPrefix("./") ? String(dropFirst(2)) : self }
}
