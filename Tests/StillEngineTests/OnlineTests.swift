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
    var request = RestoreRequest(target: place.path.appending("data"))
    request.tablespaceMapping = [(host.tablespace, place.path.appending("space"))]
    let backup = try Repository.open(result.path.removingLastComponent().removingLastComponent())
      .onlyCluster().backup(result.record.id.description)
    #expect(try verify(backup, Recorder(), Cancellation()).problems == [])
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
