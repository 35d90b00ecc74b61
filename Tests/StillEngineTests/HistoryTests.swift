import StillModel
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

@testable import StillEngine

/// What runs leave in the repository that publish no backup.
@Suite struct HistoryTests {
  private let host: FakeHost
  private let place: TestFolder
  private var repository: FilePath { place.path.appending("repo") }

  init() throws {
    host = try FakeHost()
    place = try TestFolder(on: .memory, owner: FakeHost.owner)
  }

  private func request() -> ProbeRequest {
    var request = ProbeRequest(dataDirectory: host.cluster.dataDirectory)
    request.duration = 1
    request.interval = 0.1
    request.copyTime = 600
    request.repository = repository
    request.cluster = "main"
    return request
  }

  private func runProbe(_ observer: any Observer = Recorder()) throws -> ProbeResult {
    try probe(
      request(), with: host.provider(), observer, Cancellation(), discovery: host.discovery())
  }

  private func cluster() throws -> ClusterFolder { try Repository.open(repository).cluster("main") }

  private func kept(_ result: ProbeResult) throws -> HistoryRecord {
    try #require(try cluster().historyRecord(result.report.plan.id.description)).record
  }

  @Test("A probe leaves what it saw, in a new repository too, and no backup")
  func keeps() throws {
    let result = try runProbe()
    #expect(result.notes == [])
    #expect(result.keptIn == repository.appending("main"))
    let id = result.report.plan.id
    let record = try kept(result)
    #expect(record.id == id && record.cluster == "main" && record.overflow == nil)
    #expect(record.probe == result.report, "so few looks are all kept")
    #expect(record.probe?.began != nil)
    #expect(try cluster().backups() == [])
    let folder = try OpenFolder.open(repository).folder("main")
    #expect(try folder.names() == ["history"])
    let history = try folder.folder("history")
    #expect(try history.names() == [FilePath("\(id).json")])
    #expect(try history.metadata(of: FilePath("\(id).json")).mode == 0o600)
    #expect(try cluster().historyRecord("latest") == nil)
    #expect(try cluster().status().backups == 0)
  }

  @Test("Without a repository nothing is kept anywhere")
  func nowhere() throws {
    var request = request()
    request.repository = nil
    let result = try probe(
      request, with: host.provider(), Recorder(), Cancellation(), discovery: host.discovery())
    #expect(result.keptIn == nil && result.notes == [])
    #expect(try OpenFolder.open(place.path).names().isEmpty)
  }

  @Test("A place that cannot be written is found before anything is frozen")
  func unwritable() throws {
    let folder = try Repository.openForWriting(repository).clusterForWriting("main").folder
    _ = try folder.file("history", .create(permissions: 0o600))
    let provider = try host.provider()
    let failure = #expect(throws: StillError.self) {
      try probe(
        request(), with: provider, Recorder(), Cancellation(), discovery: host.discovery())
    }
    #expect(failure?.status == .precondition)
    #expect(failure?.message.contains("is not writable") == true)
    #expect(!provider.calls.contains(.prepare))
  }

  @Test("A probe that cannot keep its looks tells of them all the same")
  func lost() throws {
    let folder = repository.pushing("main/history").string
    let result = try runProbe(
      Recorder { event in
        guard case .began(.watch) = event else { return }
        _ = try? Tool.demand("rmdir", folder)
      })
    #expect(result.keptIn == nil)
    #expect(result.notes.count == 1)
    #expect(result.notes.first?.contains("is not kept in \(folder)") == true)
    #expect(result.report.samples.count > 4)
    #expect(result.hours != nil, "its own looks")
  }

  @Test("What a run that died was writing is removed, and never read")
  func leftovers() throws {
    _ = try runProbe()
    let history = try #require(try cluster().history())
    let file = try history.folder.file(".new-x", .create(permissions: 0o600))
    try file.writeAll(Array("{".utf8))
    #expect(try history.ids().count == 1)
    let second = try runProbe()
    #expect(try history.ids().count == 2)
    #expect(try history.folder.names().map(\.string).allSatisfy { $0.hasSuffix(".json") })
    #expect(second.notes == [])
  }

  @Test("Many looks are thinned, and the marks stay")
  func thinned() throws {
    var report = try runProbe().report
    let last = try #require(report.samples.last)
    report.samples = (0...20_000).map { number in
      var look = last
      look.seconds = Double(number)
      look.flushedFrom = number == 12_345 ? Double(number) : nil
      return look
    }
    let record = HistoryRecord(probe: report, cluster: "main", systemIdentifier: 1)
    let samples = try #require(record.probe?.samples)
    #expect((390...410).contains(samples.count))
    #expect(samples.contains { $0.flushedFrom == 12_345 })
    let history = try #require(try cluster().history())
    try history.keep(record)
    #expect(try history.record(record.id) == record)
    #expect(try history.folder.metadata(of: FilePath("\(record.id).json")).size < 1 << 20)
  }

  @Test("A changed byte is noticed, and what comes from a newer pgstill or cannot be is refused")
  func refused() throws {
    let result = try runProbe()
    let id = result.report.plan.id
    let history = try #require(try cluster().history())
    func refusal(_ change: (inout HistoryRecord) -> Void) throws -> String {
      var record = HistoryRecord(probe: result.report, cluster: "main", systemIdentifier: 1)
      change(&record)
      // Its name stays.
      try SealedFile.replace(
        FilePath("\(id).json"), with: record, by: FilePath(".new"), in: history.folder)
      let failure = #expect(throws: StillError.self) { try history.record(id) }
      #expect(failure?.status == .copying)
      return failure?.message ?? ""
    }
    #expect(try refusal { $0.format = 2 }.contains("newer pgstill (format 2)"))
    #expect(try refusal { $0.probe = nil }.contains("neither a probe nor an overflow"))
    #expect(try refusal { $0.id = RunID(at: Clock.now()) }.contains("of another name"))
    #expect(try refusal { $0.probe?.samples[1].used = [] }.contains("other volumes"))
    #expect(try refusal { $0.probe?.samples[1].written = [1] }.contains("other volumes"))
    #expect(try refusal { $0.probe?.samples[1].used[0] = .max }.contains("than there can be"))
    #expect(try refusal { $0.probe?.volumes[0].largest = .max }.contains("than there can be"))
    #expect(try refusal { $0.probe?.watched = 1e300 }.contains("times that nothing takes"))
    #expect(try refusal { $0.probe?.samples[0].seconds = 1e9 }.contains("times that nothing"))
    #expect(try refusal { $0.probe?.volumes = [] }.contains("other volumes"))
    let file = repository.pushing(FilePath("main/history/\(id).json")).string
    try Tool.demand("sed", "-i", "s/\"cluster\"/\"clusteR\"/", file)
    let torn = #expect(throws: StillError.self) { try history.record(id) }
    #expect(torn?.message.contains("its checksum does not match") == true)
    // And nobody trips over it.
    #expect(try cluster().status().backups == 0)
    #expect(try runProbe().notes == [])
  }

  @Test("A backup says what was written to each origin, look by look, and hours come of it")
  func written() throws {
    let host = host
    let counts = Recorder { event in
      guard case .began(.copy) = event else { return }
      // The watch has begun to count.
      try? host.sysfs.count(30 << 20, to: host.volumes[0])
    }
    let record = try host.backUp(host.request(repository), counts).record
    let last = try #require(record.fillHistory.last?.written)
    #expect(last == [30 << 20, 0])
    #expect(try kept(runProbe()).probe?.samples.last?.written.count == 2)
    let hours = try #require(try cluster().status().hours)
    #expect(!hours.cells.isEmpty)
    #expect(hours.cells.contains { $0.bytesPerMinute > 0 }, "of the backup")
  }

  @Test("The looks of another cluster that had this folder say nothing of this one")
  func otherCluster() throws {
    let result = try runProbe()
    let history = try #require(try cluster().history())
    var other = try kept(result)
    let later = RunID(at: CalendarTime(secondsSince1970: Clock.now().secondsSince1970 - 86400 * 7))
    other.id = later
    other.probe?.plan.id = later
    other.probe?.began = CalendarTime(secondsSince1970: 0)
    other.systemIdentifier += 1
    try history.keep(other)
    let cells = try #require(try cluster().status().hours).cells
    other.systemIdentifier -= 1
    try history.keep(other)
    #expect(try cluster().status().hours?.cells != cells, "as one's own they would")
  }

  @Test("What a probe leaves is no night: the default size stays what it was")
  func noNight() throws {
    for _ in 0..<3 { _ = try runProbe() }
    let plan = try planBackup(
      host.request(repository), with: host.provider(), Recorder(), discovery: host.discovery())
    #expect(
      plan.volumes.allSatisfy { $0.sizeReason.hasPrefix("20% of the origin, until 3 backups") })
    #expect(try cluster().status().needs == [])
  }
}

/// A backup whose snapshot overflowed.
@Suite struct KeptOverflowTests {
  private let host: FakeHost
  private let place: TestFolder
  private var repository: FilePath { place.path.appending("repo") }

  init() throws {
    host = try FakeHost()
    place = try TestFolder(on: .memory, owner: FakeHost.owner)
  }

  private func overflow(at look: Int = 2) throws -> StillError {
    try #require(
      throws: StillError.self,
      performing: {
        try host.backUp(
          host.request(repository), with: host.provider(.init(.fill, call: look, .overflows)))
      })
  }

  private func cluster() throws -> ClusterFolder { try Repository.open(repository).cluster("main") }

  private func plan() throws -> BackupPlan {
    try planBackup(
      host.request(repository), with: host.provider(), Recorder(), discovery: host.discovery())
  }

  @Test("It leaves how its snapshots filled, and nothing that looks like a backup")
  func keeps() throws {
    let failure = try overflow()
    #expect(failure.status == .overflow)
    let history = try #require(try cluster().history())
    let id = try #require(try history.ids().first)
    let overflow = try #require(try history.record(id).overflow)
    #expect(overflow.origins == host.volumes.map(\.name))
    #expect(overflow.overflowed == [host.volumes[0].name])
    #expect(overflow.sizes == [208 << 20, 208 << 20])
    #expect(overflow.message.contains("overflowed"))
    #expect(!overflow.samples.isEmpty)
    #expect(try cluster().backups() == [])
    #expect(try cluster().folder.names().map(\.string).sorted() == [".lock", "history"])
    let fill = try #require(RunFill(history.record(id)))
    #expect(fill.volumes.map(\.hasOverflowed) == [true, false])
    #expect(fill.volumes[0].used.last?.bytes == 208 << 20)
  }

  @Test("Any other failure leaves nothing")
  func others() throws {
    #expect(throws: StillError.self) {
      try host.backUp(host.request(repository), with: host.provider(.fails(.open)))
    }
    #expect(throws: StillError.self) {
      let gone = StillError(.volumes, "it was removed")
      try host.backUp(host.request(repository), with: host.provider(.init(.fill, .fails(gone))))
    }
    #expect(try cluster().folder.names().map(\.string) == [".lock"])
  }

  @Test("It counts as a night that needed at least twice what there was")
  func counts() throws {
    #expect(try plan().volumes[0].snapshotSize == 208 << 20)
    _ = try overflow()
    let after = try plan().volumes
    // As much as the group gives, for it has not four times 208 MiB.
    #expect(after[0].snapshotSize > 208 << 20)
    #expect(
      after[0].sizeReason.hasPrefix(
        "twice the 416.0 MiB that a backup needed at least, for 208.0 MiB overflowed"))
    #expect(after[1].snapshotSize == 208 << 20, "the other one did not")
    let need = try #require(try cluster().status().needs.first)
    #expect(need.peaks == [416 << 20] && need.overflowed == [208 << 20])
  }

  @Test(
    "No night is refused for it: where the group has no more, the stores are as they would be without"
  )
  func room() throws {
    var volumes = host.volumes
    for index in volumes.indices {
      volumes[index].name = try #require(VolumeName("vg9/\(volumes[index].name.volume)"))
      volumes[index].groupFree = 600 << 20
    }
    volumes[0].size = 10 << 30
    let sysfs = try FakeSysfs(volumes)
    let discovery = try sysfs.discovery()
    func backUp(_ size: SnapshotSize, _ faults: FakeSnapshots.Fault...) throws {
      var request = host.request(repository)
      request.snapshotSize = size
      _ = try backup(
        request, with: FakeSnapshots(volumes, faults: faults), Recorder(), Cancellation(),
        discovery: discovery)
    }
    for _ in 0..<3 { try backUp(.bytes(100 << 20)) }
    func sizes() throws -> [UInt64] {
      try planBackup(
        host.request(repository), with: FakeSnapshots(volumes), Recorder(), discovery: discovery
      ).volumes.map(\.snapshotSize)
    }
    #expect(try sizes() == [64 << 20, 64 << 20])
    #expect(throws: StillError.self) {
      try backUp(.bytes(200 << 20), .init(.fill, call: 2, .overflows))
    }
    // The larger one alone would take more than the smaller one leaves.
    #expect(try sizes() == [64 << 20, 64 << 20])
  }

  @Test("One of another cluster that had this folder does not")
  func otherCluster() throws {
    _ = try overflow()
    try host.backUp(host.request(repository))
    let history = try #require(try cluster().history())
    var record = try history.record(try #require(try history.ids().first))
    record.systemIdentifier += 1
    try history.keep(record)
    #expect(try plan().volumes[0].snapshotSize == 208 << 20)
  }
}
