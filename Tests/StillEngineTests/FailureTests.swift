import Glibc
import StillArchive
import StillEngine
import StillModel
import StillPostgres
import StillSystem
import StillTestSupport
import Synchronization
import SystemPackage
import Testing

/// What goes wrong, goes wrong without a trace: nothing is published, nothing is left, and the
/// message says what to do.
@Suite(.serialized) struct FailureTests {
  /// A cluster with one table of several blocks of the archive, for those who change it meanwhile.
  static let host = Result {
    let host = try FakeHost()
    try host.cluster.sql(
      "CREATE TABLE large AS SELECT n, md5(n::text) || md5((-n)::text) FROM generate_series(1, 200000) AS n",
      "CHECKPOINT")
    return host
  }

  private let place: TestFolder
  private let host: FakeHost
  private var repository: FilePath { place.path.appending("repo") }

  init() throws {
    host = try FailureTests.host.get()
    place = try TestFolder(on: .memory, owner: FakeHost.owner)
  }

  /// Runs a backup that has to fail, and looks at what it left.
  private func failure(
    _ provider: FakeSnapshots, _ observer: Recorder = Recorder(),
    _ cancellation: Cancellation = Cancellation(), in repository: FilePath? = nil,
    at location: SourceLocation = #_sourceLocation,
    _ change: (inout BackupRequest) -> Void = { _ in }
  ) throws -> StillError {
    var request = host.request(repository ?? self.repository)
    change(&request)
    let failure = try #require(throws: StillError.self, sourceLocation: location) {
      try host.backUp(request, with: provider, observer, cancellation)
    }
    #expect(try published(request.repository) == [], sourceLocation: location)
    #expect(provider.snapshots == [], sourceLocation: location)
    return failure
  }

  /// Everything in the cluster's folder but the lock, and what is no backup.
  private func published(_ repository: FilePath) throws -> [String] {
    guard let folder = try? OpenFolder.open(repository).folder("main") else { return [] }
    return try folder.names().map(\.string).filter { $0 != ".lock" && $0 != "history" }
  }

  @Test(
    "A step of the provider that fails ends the run, and what was made is given back",
    arguments: [
      (FakeSnapshots.Step.prepare, "preparing snapshots"), (.freeze, "freezing"),
      (.open, "opening the snapshots"), (.fill, "copying"),
    ])
  func steps(_ step: FakeSnapshots.Step, _ phase: String) throws {
    let provider = try host.provider(.fails(step))
    let failure = try failure(provider)
    #expect(failure.status == .volumes)
    #expect(failure.message == "\(step) was told to fail")
    #expect(failure.phase == phase)
    #expect(failure.further == [])
    #expect(provider.calls.last == .release)
    #expect(provider.calls.count { $0 == .release } == 1)
  }

  @Test("A survey that fails ends the run before anything is made")
  func survey() throws {
    let provider = try host.provider(.fails(.survey))
    let failure = try failure(provider)
    #expect(failure.status == .volumes)
    #expect(provider.calls == [.makeWay, .survey])
    #expect(try OpenFolder.open(place.path).names() == [])
  }

  @Test("A release that fails after a failure is told with it")
  func releaseToo() throws {
    let provider = try host.provider(
      .fails(.freeze), .init(.release, .leavesBehind("somebody holds it")))
    let failure = try failure(provider)
    #expect(failure.message == "freeze was told to fail")
    #expect(failure.further.count == 1)
    #expect(failure.further.first?.contains("somebody holds it") == true)
  }

  @Test("A backup whose snapshots cannot be released is published, and the release says so")
  func releaseFails() throws {
    for fault in [
      FakeSnapshots.Fault.fails(.release), .init(.release, .leavesBehind("it is open")),
    ] {
      let result = try host.backUp(host.request(repository), with: host.provider(fault))
      #expect(try published(repository).contains(result.record.id.description))
      let failure = try #require(result.release.failure)
      #expect(failure.status == .leftBehind)
      #expect(failure.message.contains("\(result.record.id)"), "\(failure.message)")
      #expect(failure.hint?.contains("pgstill release") == true)
    }
  }

  @Test(
    "A snapshot that is invalid is an overflow, seen early or after the last byte",
    arguments: [1, 2])
  func overflow(_ look: Int) throws {
    let provider = try host.provider(.init(.fill, call: look, .overflows))
    let failure = try failure(provider)
    #expect(failure.status == .overflow)
    #expect(failure.message.contains("snapshot vg0/data_still_"))
    #expect(failure.message.contains("overflowed"))
    #expect(failure.hint?.contains("--snapshot-size") == true)
    #expect(provider.calls.last == .release)
  }

  @Test(
    "A frozen file that is shorter or longer than it was is an error, never a warning",
    arguments: [-1, 1])
  func sizeChanges(_ change: Int) throws {
    let provider = try host.provider()
    let file = try host.cluster.sql("SELECT pg_relation_filepath('large')")
    let recorder = Recorder { event in
      guard case .advanced = event, let data = try? provider.frozen(host.cluster.dataDirectory)
      else { return }
      let path = data.pushing(FilePath(file)).string
      var status = stat()
      guard stat(path, &status) == 0 else { return }
      truncate(path, status.st_size + change)
    }
    let failure = try failure(provider, recorder)
    #expect(failure.status == .copying)
    #expect(failure.message.contains(file))
    #expect(failure.message.contains(change < 0 ? "shorter" : "longer"))
  }

  @Test("A frozen file that vanishes is an error")
  func vanishes() throws {
    let provider = try host.provider()
    // By the fiftieth file the names of the first database's folder have been read.
    let files = Mutex(0)
    let recorder = Recorder { event in
      guard case .advanced = event,
        files.withLock({
          $0 += 1; return $0 == 50
        }),
        let data = try? provider.frozen(host.cluster.dataDirectory)
      else { return }
      unlink(data.pushing("base/1/pg_filenode.map").string)
    }
    let failure = try failure(provider, recorder)
    #expect(failure.status == .copying)
    #expect(failure.message.contains("base/1/pg_filenode.map"))
  }

  @Test("A repository that runs full ends the run, names the place, and keeps no partial")
  func diskFull() throws {
    let small = try place.folder("small")
    try #require(
      mount("tmpfs", small.string, "tmpfs", 0, "size=8M") == 0,
      "this test mounts a tmpfs: run it as root")
    defer { umount2(small.string, Int32(MNT_DETACH)) }
    let failure = try failure(host.provider(), in: small.appending("repo")) {
      $0.compression = .none
    }
    #expect(failure.status == .copying)
    #expect(failure.message.contains("\(small)/repo/main/.partial-"))
    #expect(failure.message.contains("No space left on device"))
    #expect(failure.hint?.contains("Free some room") == true)
  }

  @Test("A file system mounted inside a tablespace is refused, one beside its files is not")
  func mountInTablespace() throws {
    let control = try DataDirectory.open(host.cluster.dataDirectory)
    for (folder, isRefused) in [("PG_99_201001011", false), (control.tablespaceFolder, true)] {
      let inner = host.tablespace.appending(folder).appending("mounted")
      try host.cluster.runAsOwner("/bin/mkdir", ["-p", inner.string])
      try #require(
        mount("tmpfs", inner.string, "tmpfs", 0, "size=8M") == 0,
        "this test mounts a tmpfs: run it as root")
      defer {
        umount2(inner.string, Int32(MNT_DETACH))
        rmdir(inner.string)
      }
      for mode in isRefused ? Consistency.allCases : [.online] {
        var request = host.request(repository)
        request.consistency = mode
        guard isRefused else {
          try host.backUp(request)
          continue
        }
        let failure = try #require(throws: StillError.self) { try host.backUp(request) }
        #expect(failure.status == .precondition)
        #expect(failure.message.contains("is mounted at \(inner), inside tablespace "))
        #expect(failure.hint != nil)
      }
    }
  }

  @Test("A run that is told to end in the middle ends, with the signal's exit status")
  func cancelled() throws {
    let cancellation = Cancellation()
    let recorder = Recorder { event in
      if case .advanced = event { cancellation.cancel(.interrupted(by: SIGTERM)) }
    }
    let provider = try host.provider()
    let failure = try failure(provider, recorder, cancellation)
    #expect(failure.exitCode == 143)
    #expect(recorder.phases.contains(.publish) == false)
    #expect(provider.calls.last == .release)
  }

  @Test("A run that is told to end before the freeze makes no copy")
  func cancelledEarly() throws {
    let cancellation = Cancellation()
    let recorder = Recorder { event in
      if case .began(.prepare) = event { cancellation.cancel(.interrupted(by: SIGINT)) }
    }
    let provider = try host.provider()
    let failure = try failure(provider, recorder, cancellation)
    #expect(failure.exitCode == 130)
    #expect(provider.calls == [.makeWay, .survey, .release])
  }

  @Test("A run that is told to end just before it publishes publishes nothing")
  func cancelledLate() throws {
    let cancellation = Cancellation()
    let recorder = Recorder { event in
      if case .began(.publish) = event { cancellation.cancel(.interrupted(by: SIGINT)) }
    }
    #expect(try failure(try host.provider(), recorder, cancellation).exitCode == 130)
  }

  @Test("A second run at the same time is busy, names the first one, and does it no harm")
  func busy() throws {
    let second = try host.provider()
    let refusal = Mutex<StillError?>(nil)
    let host = host
    let repository = repository
    let recorder = Recorder { event in
      guard case .began(.copy) = event else { return }
      do {
        try host.backUp(host.request(repository), with: second)
      } catch {
        refusal.withLock { $0 = error as? StillError }
      }
    }
    let result = try host.backUp(host.request(repository), with: host.provider(), recorder)
    let failure = try #require(refusal.withLock { $0 })
    #expect(failure.status == .busy)
    #expect(failure.message.contains("run \(result.record.id)"))
    #expect(failure.hint?.contains("Wait") == true)
    #expect(second.calls == [.makeWay, .survey], "it froze nothing")
    let names = Set(try published(repository))
    #expect(names == [result.record.id.description, "latest"])
  }

  @Test("The next run removes what one that died was writing, and says so")
  func partials() throws {
    let dead = ".partial-20260101T000000Z-000000"
    let folder = repository.pushing(FilePath("main/\(dead)/deep"))
    try Tool.demand("mkdir", "-p", folder.string)
    try Tool.demand("cp", "/etc/passwd", folder.string)
    let recorder = Recorder()
    let before = try Repository.open(repository).onlyCluster().backups()
    #expect(before == [], "nobody takes it for a backup")
    let result = try host.backUp(host.request(repository), with: host.provider(), recorder)
    #expect(Set(try published(repository)) == [result.record.id.description, "latest"])
    #expect(recorder.notes.count == 1)
    #expect(recorder.notes.first?.contains(dead) == true)
  }

  @Test("A tablespace that is created between the plan and the freeze is noticed")
  func newTablespace() throws {
    let host = host
    let provider = try host.provider(
      .init(.prepare, .meanwhile { try host.cluster.makeTablespace("late") }))
    let failure = try failure(provider)
    let oid = try host.cluster.sql("SELECT oid FROM pg_tablespace WHERE spcname = 'late'")
    try host.cluster.sql("DROP TABLESPACE late")
    #expect(failure.status == .copying)
    #expect(failure.message.contains("tablespaces were created"))
    #expect(failure.message.contains(oid))
    #expect(failure.hint == "Run the backup again.")
  }

  @Test("One that is created and dropped between the checkpoint and the freeze, too")
  func passingTablespace() throws {
    let host = host
    let provider = try host.provider(
      .init(
        .freeze,
        .meanwhile {
          let place = try host.cluster.makeTablespace("passing")
          try host.cluster.sql("DROP TABLESPACE passing")
          try Tool.demand("rm", "-r", place.string)
        }))
    let failure = try failure(provider)
    #expect(failure.status == .copying)
    #expect(
      failure.message.contains("tablespaces were created, dropped or moved just before the freeze"))
    #expect(failure.message.contains("(\(host.cluster.folder)/space-passing)"))
    #expect(failure.hint?.hasPrefix("Run the backup again") == true)
    // The next checkpoint is behind it.
    try host.backUp(host.request(repository))
  }

  @Test("A server that dies after the plan ends the run as PostgreSQL's failure")
  func serverDies() throws {
    let host = try FakeHost()
    let provider = try host.provider(
      .init(.prepare, .meanwhile { try host.cluster.stop("immediate") }))
    let failure = try #require(throws: StillError.self) {
      try host.backUp(host.request(repository), with: provider)
    }
    #expect(failure.status == .postgres)
    #expect(failure.phase == "freezing")
    #expect(provider.calls == [.makeWay, .survey, .prepare, .release])
    #expect(try published(repository) == [])
  }

  @Test("A repository on a volume of the cluster is refused, unless it is allowed")
  func repositoryOnOrigin() throws {
    let provider = try host.provider()
    let failure = try failure(provider) { $0.allowsRepositoryOnOrigin = false }
    #expect(failure.status == .precondition)
    #expect(failure.message.contains("\(repository)"))
    #expect(failure.message.contains("vg1/other-one"))
    #expect(failure.hint?.contains("--allow-repo-on-origin") == true)
    #expect(provider.calls == [.makeWay, .survey])
  }

  @Test("A repository that cannot be written is a precondition, with the command that makes it")
  func notWritable() throws {
    // Not even root can make a folder in sysfs.
    let provider = try host.provider()
    let failure = try failure(provider, in: "/sys/kernel/pgstill")
    #expect(failure.status == .precondition)
    #expect(failure.message.contains("/sys/kernel/pgstill is not writable for"))
    #expect(failure.hint?.contains("install -d -o") == true)
    #expect(provider.calls == [.makeWay, .survey])
  }

  @Test("A repository below a folder that is not there is a precondition")
  func repositoryNowhere() throws {
    let failure = try failure(host.provider(), in: "/no/such/repo")
    #expect(failure.status == .precondition)
    #expect(failure.message.contains("/no/such"))
    #expect(failure.hint != nil)
  }

  @Test("Too little room in a volume group says how much is needed and how much is there")
  func noRoom() throws {
    var volumes = host.volumes
    volumes[1].groupFree = 100 << 20
    let provider = try FakeSnapshots(volumes)
    let failure = try failure(provider)
    #expect(failure.status == .precondition)
    #expect(
      failure.message
        == "volume group vg1 has 100.0 MiB free, but the snapshots of other-one need 208.0 MiB")
    #expect(failure.hint?.contains("--snapshot-size") == true)
    #expect(failure.hint?.contains("vgextend vg1") == true)
    #expect(provider.calls == [.makeWay, .survey])
  }

  @Test("Two origins of one group share its room")
  func noRoomTogether() throws {
    var volumes = try [
      FakeVolume("vg0/data", folders: host.volumes[0].folders),
      FakeVolume("vg0/wal", folders: host.volumes[1].folders),
    ]
    for index in volumes.indices { volumes[index].groupFree = 300 << 20 }
    let sysfs = try FakeSysfs(volumes)
    var request = host.request(repository)
    request.snapshotSize = .percentOfOrigin(20)
    let failure = try #require(throws: StillError.self) {
      try backup(
        request, with: FakeSnapshots(volumes), Recorder(), Cancellation(),
        discovery: sysfs.discovery())
    }
    withExtendedLifetime(sysfs) {}
    #expect(failure.message.contains("vg0 has 300.0 MiB free"))
    #expect(failure.message.contains("data, wal need 416.0 MiB"))
  }

  @Test("A volume that cannot be snapshotted is named with the reason")
  func obstacle() throws {
    var volumes = host.volumes
    volumes[0].obstacle = "it is a snapshot itself"
    let failure = try failure(try FakeSnapshots(volumes))
    #expect(failure.status == .precondition)
    #expect(failure.message.contains("volume vg0/data (/"))
    #expect(failure.message.hasSuffix("it is a snapshot itself"))
    #expect(failure.hint != nil)
  }

  @Test("A folder that is on no logical volume is named with its device", arguments: [0, 1])
  func notOnLVM(_ missing: Int) throws {
    let sysfs = try FakeSysfs([host.volumes[1 - missing]])
    let failure = try #require(throws: StillError.self) {
      try backup(
        host.request(repository), with: host.provider(), Recorder(), Cancellation(),
        discovery: sysfs.discovery())
    }
    withExtendedLifetime(sysfs) {}
    let (path, role) =
      missing == 0 ? (host.cluster.dataDirectory, "") : (host.wal, "pg_wal, ")
    #expect(failure.status == .precondition)
    #expect(failure.message.hasPrefix("\(role)\(path) is on "))
    #expect(failure.message.contains("device \(host.volumes[missing].device)"))
    #expect(failure.hint?.contains("logical volume") == true)
  }

  @Test("A data directory with another cluster mounted over it is noticed")
  func anotherCluster() throws {
    let other = try FakeHost()
    let host = host
    let provider = try host.provider()
    let recorder = Recorder { event in
      guard case .began(.copy) = event,
        let frozen = try? provider.frozen(host.cluster.dataDirectory)
      else { return }
      _ = try? Tool.demand(
        "cp", "\(other.cluster.dataDirectory)/global/pg_control", "\(frozen)/global/pg_control")
    }
    let failure = try failure(provider, recorder)
    #expect(failure.status == .copying)
    #expect(failure.message.contains("belongs to another cluster"))
  }

  @Test("WAL that is missing in the frozen picture is noticed")
  func missingWAL() throws {
    let provider = try host.provider()
    let host = host
    let recorder = Recorder { event in
      guard case .began(.copy) = event, let frozen = try? provider.frozen(host.wal) else { return }
      _ = try? Tool.demand("find", frozen.string, "-maxdepth", "1", "-type", "f", "-delete")
    }
    let failure = try failure(provider, recorder)
    #expect(failure.status == .copying)
    #expect(failure.phase == "copying")
  }
}
