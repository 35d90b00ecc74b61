import StillArchive
import StillEngine
import StillModel
import StillPostgres
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

/// Backup mode over frozen volumes: all of a cluster's, or some.
@Suite struct OnlineTests {
  /// What is read, restored and asked.
  private func expectRestored(_ host: FakeHost, _ result: BackupResult, rows: Int) throws {
    let place = try TestFolder(on: .memory, owner: FakeHost.owner)
    var request = RestoreRequest(target: place.path.appending("data"), workers: 2)
    request.tablespaceMapping = [(host.tablespace, place.path.appending("space"))]
    let backup = try Repository.open(result.path.removingLastComponent().removingLastComponent())
      .onlyCluster().backup(result.record.id.description)
    #expect(try verify(backup, workers: 2, Recorder(), Cancellation()).problems == [])
    _ = try restore(request, of: backup, Recorder(), Cancellation())
    let server = try RestoredServer(request.target, like: host.cluster)
    #expect(try server.sql("SELECT count(*) FROM there") == "\(rows)")
    #expect(try server.sql("SELECT count(*) FROM here") == "\(rows)")
    let log = try Tool.demand("cat", server.log.string)
    let stop = try #require(result.record.online?.stop)
    #expect(log.contains("consistent recovery state reached at \(stop)"))
  }

  private func makeHost() throws -> FakeHost {
    let host = try FakeHost()
    try host.cluster.sql(
      "CREATE TABLE here AS SELECT generate_series(1, 1000) AS n",
      "CREATE TABLE there TABLESPACE elsewhere AS SELECT generate_series(1, 1000) AS n")
    return host
  }

  /// Writes to both tables when the copy begins.
  private func writer(_ host: FakeHost) -> Recorder {
    Recorder { event in
      if case .began(.copy) = event {
        _ = try? host.cluster.sql(
          "INSERT INTO here SELECT generate_series(1001, 1500)",
          "INSERT INTO there SELECT generate_series(1001, 1500)", "CHECKPOINT")
      }
    }
  }

  @Test("Where every volume can be frozen, the frozen files are copied in backup mode")
  func allFrozen() throws {
    let host = try makeHost()
    let place = try TestFolder(on: .disk, owner: FakeHost.owner)
    var request = host.request(place.path.appending("repo"))
    request.consistency = .online
    let provider = try host.provider()
    let recorder = writer(host)
    let result = try host.backUp(request, with: provider, recorder)
    #expect(
      recorder.phases == [
        .discover, .plan, .begin, .prepare, .freeze, .copy, .publish, .release,
      ])
    #expect(provider.snapshots.isEmpty)
    #expect(result.record.freeze?.volumes.count == 2)
    #expect(result.record.online != nil)
    #expect(result.record.badPages == nil, "it has no checksums")
    // The log goes on past the freeze, so what was written after it is there as well.
    try expectRestored(host, result, rows: 1500)
  }

  @Test(
    "Pages are checked as they were frozen",
    arguments: [
      ([0], Consistency.online), ([1], .online), ([0, 1], .online), ([0, 1], .snapshot),
    ])
  func pages(frozen: [Int], in mode: Consistency) throws {
    let host = try FakeHost(initdb: ["--data-checksums"])
    try host.cluster.sql(
      "CREATE TABLE here AS SELECT n, repeat('x', 500) FROM generate_series(1, 1000) AS n",
      "CREATE TABLE there TABLESPACE elsewhere AS SELECT * FROM here", "CHECKPOINT")
    let relations = try ["here", "there"].map {
      try host.cluster.sql("SELECT pg_relation_filepath('\($0)')")
    }
    let volumes = frozen.map { host.volumes[$0] }
    let roots = [host.cluster.dataDirectory, host.tablespace]
    // A byte of a page, and the position of another one.
    @Sendable func damage(_ file: FilePath) throws {
      let file = try OpenFolder.open(file.removingLastComponent())
        .file(FilePath(root: nil, file.components.suffix(1)), .update(permissions: 0o600))
      try file.writeDurably([0x55, 0xAA], at: 3 * 8192 + 5000)
      try file.writeDurably([0x55, 0xAA], at: 11 * 8192)
    }
    // In the frozen files only: the server's own are good.
    let provider = try FakeSnapshots(volumes)
    let recorder = Recorder { event in
      guard case .began(.copy) = event else { return }
      do {
        for index in frozen {
          // The path leads through the link of pg_tblspc.
          let inner =
            index == 0
            ? FilePath(relations[0])
            : FilePath(root: nil, FilePath(relations[1]).components.dropFirst(2))
          try damage(provider.frozen(roots[index]).pushing(inner))
        }
      } catch { Issue.record(error) }
    }
    let place = try TestFolder(on: .disk, owner: FakeHost.owner)
    var request = host.request(place.path.appending("repo"))
    request.consistency = mode
    let sysfs = try FakeSysfs(volumes)
    let result = try backup(
      request, with: provider, recorder, Cancellation(), discovery: sysfs.discovery())
    let expected = frozen.map { BadPages(file: relations[$0], blocks: [3, 11]) }
    let found = try #require(result.record.badPages)
    #expect(Set(found) == Set(expected))
    #expect(found.count == expected.count)
  }

  @Test("Where live files are asked for, nothing is frozen")
  func live() throws {
    let host = try makeHost()
    let place = try TestFolder(on: .disk, owner: FakeHost.owner)
    var request = host.request(place.path.appending("repo"))
    request.consistency = .online
    request.usesSnapshots = false
    // No volume is asked about, so a repository on one is in nobody's way.
    request.allowsRepositoryOnOrigin = false
    let provider = try host.provider()
    let result = try host.backUp(request, with: provider, writer(host))
    #expect(provider.calls == [])
    #expect(result.record.consistency == .online && result.record.freeze == nil)
    try expectRestored(host, result, rows: 1500)
  }

  @Test("An overflow names what would help in this mode")
  func overflow() throws {
    let host = try makeHost()
    let place = try TestFolder(on: .disk, owner: FakeHost.owner)
    var request = host.request(place.path.appending("repo"))
    for (mode, words) in [
      (Consistency.online, "a quieter hour, or --no-snapshots;"),
      (.snapshot, "a quieter hour, or --consistency online --no-snapshots;"),
    ] {
      request.consistency = mode
      let provider = try host.provider(.init(.fill, .overflows))
      let failure = try #require(throws: StillError.self) {
        try host.backUp(request, with: provider)
      }
      #expect(failure.status == .overflow)
      #expect(failure.hint?.contains(words) == true, "\(failure.hint ?? "")")
    }
  }

  @Test("Where one volume cannot be frozen, its files are read live", arguments: [0, 1])
  func someFrozen(frozen: Int) throws {
    let host = try makeHost()
    let place = try TestFolder(on: .disk, owner: FakeHost.owner)
    var request = host.request(place.path.appending("repo"))
    request.consistency = nil
    let volume = host.volumes[frozen]
    let sysfs = try FakeSysfs([volume])
    let provider = try FakeSnapshots([volume])
    let result = try backup(
      request, with: provider, writer(host), Cancellation(), discovery: try sysfs.discovery())
    #expect(result.record.consistency == .online, "chosen, for nothing better can be had")
    #expect(result.record.reason.contains("not everything can be frozen"))
    #expect(result.record.freeze?.volumes.map(\.origin) == [volume.name])
    #expect(provider.snapshots.isEmpty)
    try expectRestored(host, result, rows: 1500)
  }

  @Test("An order to stop ends backup mode, slot and snapshots")
  func stopped() throws {
    let host = try makeHost()
    let place = try TestFolder(on: .disk, owner: FakeHost.owner)
    var request = host.request(place.path.appending("repo"))
    request.consistency = .online
    let provider = try host.provider()
    let cancellation = Cancellation()
    let recorder = Recorder { event in
      if case .began(.copy) = event { cancellation.cancel(.interrupted(by: 15)) }
    }
    let failure = try #require(throws: StillError.self) {
      try host.backUp(request, with: provider, recorder, cancellation)
    }
    #expect(failure.signal == 15)
    #expect(provider.snapshots.isEmpty)
    let names = try OpenFolder.open(place.path.pushing("repo/main")).names().map(\.string)
    #expect(names == [".lock"])
    for _ in 0..<100
    where try host.cluster.sql("SELECT count(*) FROM pg_replication_slots") != "0" {
      Clock.sleep(milliseconds: 20)
    }
    #expect(try host.cluster.sql("SELECT count(*) FROM pg_replication_slots") == "0")
    // The server has left backup mode: it takes a new one, and ends it.
    try host.backUp(request)
  }
}
