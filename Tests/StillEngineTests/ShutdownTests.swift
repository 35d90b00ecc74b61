import StillEngine
import StillModel
import StillPostgres
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

/// The mode shutdown where every volume can be frozen: only the volumes are copies.
@Suite(.serialized) struct ShutdownTests {
  let host: FakeHost
  let place: TestFolder

  init() throws {
    host = try FakeHost()
    place = try TestFolder(on: .disk, owner: FakeHost.owner)
    try host.cluster.sql(
      "CREATE TABLE here AS SELECT generate_series(1, 1000) AS n",
      "CREATE TABLE there TABLESPACE elsewhere AS SELECT generate_series(1, 2000) AS n")
  }

  private func request() throws -> BackupRequest {
    var request = host.request(place.path.appending("repo"))
    request.consistency = .shutdown
    // This process may be root, for which pg_ctl does nothing.
    let owner =
      Account.effectiveUser == 0
      ? "setpriv --reuid=postgres --regid=postgres --init-groups -- " : ""
    let control = "\(owner)\(host.cluster.programs)/pg_ctl -D \(host.cluster.dataDirectory) -w -s"
    request.serverCommands = ServerCommands(
      stop: "cd /; \(control) -m fast stop",
      start: "cd /; \(control) -l \(host.cluster.log) start")
    request.program = FilePath(try PgstillProgram.path())
    return request
  }

  private func postmaster() throws -> Postmaster? {
    try Postmaster.running(in: OpenFolder.open(host.cluster.dataDirectory))
  }

  private func backups() -> [String] {
    let folder = try? OpenFolder.open(place.path.pushing("repo/main"))
    return (try? folder?.names().map(\.string).filter { $0 != ".lock" }) ?? []
  }

  @Test("The server is down for the freeze only; the copy is of the moment that it was down")
  func night() throws {
    let before = try postmaster()
    let provider = try host.provider()
    let cluster = host.cluster
    let recorder = Recorder { event in
      // It takes writes while it is copied, and they are not in the backup.
      if case .began(.copy) = event {
        _ = try? cluster.sql("INSERT INTO here SELECT generate_series(1001, 1500)")
      }
    }
    let result = try host.backUp(request(), with: provider, recorder)
    #expect(
      recorder.phases
        == [.discover, .plan, .prepare, .stop, .freeze, .start, .copy, .publish, .release])
    #expect(recorder.notes.first?.hasPrefix("the server is stopped for the freeze, and") == true)
    #expect(
      provider.calls.filter { $0 != .fill } == [
        .makeWay, .survey, .prepare, .freeze, .open, .release,
      ])
    #expect(try postmaster()?.processID != before?.processID)
    #expect(try cluster.sql("SELECT count(*) FROM here") == "1500")

    let record = result.record
    let downtime = try #require(record.downtime)
    #expect(downtime.seconds > downtime.stopSeconds)
    let phases = Dictionary(uniqueKeysWithValues: result.phases.map { ($0.name, $0.seconds) })
    let parts = phases["stop", default: 0] + phases["freeze", default: 0]
    #expect(downtime.seconds >= parts)
    #expect(record.wal.checkpoint == record.wal.redo)
    #expect(record.wal.segmentsKept.count == 1)

    var restoring = RestoreRequest(target: place.path.appending("data"), workers: 2)
    restoring.tablespaceMapping = [(host.tablespace, place.path.appending("space"))]
    restoring.walFolder = place.path.appending("wal")
    let backup = try Repository.open(place.path.appending("repo")).onlyCluster().backup("latest")
    _ = try restore(restoring, of: backup, Recorder(), Cancellation())
    let server = try RestoredServer(restoring.target, like: cluster)
    #expect(try server.sql("SELECT count(*) FROM here") == "1000")
    #expect(try server.sql("SELECT sum(n) FROM there") == "2001000")
    let log = try Tool.demand("cat", server.log.string)
    #expect(log.contains("database system was shut down at"))
    #expect(!log.contains("interrupted"))
  }

  @Test("A freeze that fails leaves the server running, no snapshot and no backup")
  func freezeFails() throws {
    let before = try postmaster()
    let provider = try host.provider(.fails(.freeze))
    let failure = try #require(throws: StillError.self) {
      try host.backUp(request(), with: provider)
    }
    #expect(failure.status == .volumes)
    #expect(failure.further.contains { $0.hasPrefix("the server runs again; it was down for ") })
    #expect(try postmaster()?.processID != before?.processID)
    #expect(try host.cluster.sql("SELECT 1") == "1")
    #expect(provider.snapshots.isEmpty)
    #expect(backups() == [])
  }

  @Test("A server that does not come back is told first, and the failure before it with it")
  func neitherNor() throws {
    var request = try request()
    request.serverCommands?.start = "exit 5"
    let failure = try #require(throws: StillError.self) {
      try host.backUp(request, with: try host.provider(.fails(.freeze)))
    }
    #expect(failure.status == .postgres)
    #expect(failure.message.hasPrefix("the server could not be started again: "))
    #expect(failure.message.contains("status 5"))
    #expect(failure.further.first == "freeze was told to fail")
    #expect(failure.hint == "Start it by hand: exit 5")
  }

  @Test("Told to end while the server stops, the run starts it again and freezes nothing")
  func cancelled() throws {
    let provider = try host.provider()
    let cancellation = Cancellation()
    let recorder = Recorder { event in
      if case .began(.freeze) = event { cancellation.cancel(.interrupted(by: 15)) }
    }
    let failure = try #require(throws: StillError.self) {
      try host.backUp(request(), with: provider, recorder, cancellation)
    }
    #expect(failure.exitCode == 143)
    #expect(recorder.phases == [.discover, .plan, .prepare, .stop, .freeze, .start, .release])
    #expect(!provider.calls.contains(.freeze))
    #expect(try host.cluster.sql("SELECT 1") == "1")
    #expect(backups() == [])
  }

  @Test("A server that somebody starts before the freeze is not copied")
  func startedBeforeFreeze() throws {
    let cluster = host.cluster
    let provider = try host.provider(
      .init(.freeze, .meanwhile { try cluster.start() }))
    let failure = try #require(throws: StillError.self) {
      try host.backUp(request(), with: provider)
    }
    #expect(failure.status == .copying)
    #expect(failure.message.contains("the control file to be copied says in production"))
    #expect(try host.cluster.sql("SELECT 1") == "1")
    #expect(backups() == [])
  }

  @Test("Where not everything can be frozen, the server is down until everything is copied")
  func withoutVolumes() throws {
    var volumes = host.volumes
    volumes[1].obstacle = "it is a mirror"
    let provider = try FakeSnapshots(volumes)
    let cluster = host.cluster
    let isDown = Recorder { event in
      if case .began(.copy) = event {
        #expect(throws: StillError.self) { try cluster.sql("SELECT 1") }
      }
    }
    let result = try host.backUp(request(), with: provider, isDown)
    #expect(isDown.phases == [.discover, .plan, .stop, .copy, .start, .publish])
    #expect(
      isDown.notes.first?.hasPrefix("the server is stopped until everything is copied") == true)
    #expect(result.record.freeze == nil)
    #expect(provider.calls == [.makeWay, .survey])
    let downtime = try #require(result.record.downtime)
    let phases = Dictionary(uniqueKeysWithValues: result.phases.map { ($0.name, $0.seconds) })
    #expect(downtime.seconds > phases["copy", default: 1e9])
    #expect(try cluster.sql("SELECT 1") == "1")
  }

  @Test("A server that somebody starts while it is copied makes the copy worthless")
  func startedWhileCopied() throws {
    var volumes = host.volumes
    volumes[0].obstacle = "it is a mirror"
    let cluster = host.cluster
    let recorder = Recorder { event in
      if case .began(.copy) = event { try? cluster.start() }
    }
    let failure = try #require(throws: StillError.self) {
      try host.backUp(request(), with: try FakeSnapshots(volumes), recorder)
    }
    #expect([.postgres, .copying].contains(failure.status), "\(failure)")
    #expect(try cluster.sql("SELECT 1") == "1")
    #expect(backups() == [])
  }

  @Test("A server that was started and stopped again while it was copied makes the copy worthless")
  func startedAndStoppedWhileCopied() throws {
    var volumes = host.volumes
    volumes[0].obstacle = "it is a mirror"
    let cluster = host.cluster
    let recorder = Recorder { event in
      if case .began(.copy) = event {
        try? cluster.start()
        try? cluster.stop()
      }
    }
    let failure = try #require(throws: StillError.self) {
      try host.backUp(request(), with: try FakeSnapshots(volumes), recorder)
    }
    #expect(failure.message.contains("was started and stopped again"), "\(failure)")
    #expect(try cluster.sql("SELECT 1") == "1")
    #expect(backups() == [])
  }

  @Test("A server is not down for hours because of an obstacle that passes")
  func passingObstacle() throws {
    var volumes = host.volumes
    for index in volumes.indices { volumes[index].groupFree = 4 << 20 }
    let provider = try FakeSnapshots(volumes)
    let before = try postmaster()
    let failure = try #require(throws: StillError.self) {
      try host.backUp(request(), with: provider)
    }
    #expect(failure.status == .precondition)
    #expect(failure.message.contains("free, but the snapshots of"))
    #expect(failure.hint?.contains("vgextend") == true)
    #expect(failure.hint?.contains("--copy-while-down") == true)
    #expect(try postmaster()?.processID == before?.processID)
    #expect(backups() == [])

    var patient = try request()
    patient.copiesWhileDown = true
    let recorder = Recorder()
    let result = try host.backUp(patient, with: provider, recorder)
    #expect(result.record.freeze == nil)
    #expect(recorder.notes.first?.hasPrefix("the server is stopped until everything is") == true)
  }

  @Test("The copy goes on where the server does not come back, and that is told in the end")
  func startFails() throws {
    let provider = try host.provider()
    var request = try request()
    request.serverCommands?.start = "exit 5"
    let recorder = Recorder()
    let failure = try #require(throws: StillError.self) {
      try host.backUp(request, with: provider, recorder)
    }
    #expect(failure.status == .postgres)
    #expect(failure.message.hasPrefix("the server could not be started again: "))
    #expect(failure.hint == "Start it by hand: exit 5")
    #expect(failure.further.contains { $0.hasPrefix("the backup is whole, and was published: ") })
    // Not only in the end.
    let told = recorder.notes.filter { $0.contains("Start it by hand: exit 5") }
    #expect(told.count == 1)
    #expect(backups().count == 2, "the backup and the link")
    #expect(provider.snapshots.isEmpty)
  }

  @Test("A standby is stopped, copied and a standby again")
  func standby() throws {
    try host.cluster.stop()
    try host.cluster.runAsOwner(
      "/usr/bin/touch", [host.cluster.dataDirectory.appending("standby.signal").string])
    try host.cluster.start()
    #expect(try host.cluster.sql("SELECT pg_is_in_recovery()") == "t")
    let result = try host.backUp(request())
    #expect(result.record.server.isStandby)
    #expect(try host.cluster.sql("SELECT pg_is_in_recovery()") == "t")
  }
}
