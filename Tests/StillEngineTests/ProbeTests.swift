import Foundation
import StillEngine
import StillModel
import StillSystem
import StillTestSupport
import StillVolumes
import Synchronization
import Testing

/// `probe` with a real server and fake volumes.
@Suite struct ProbeTests {
  private func request(_ host: FakeHost, duration: Double = 2) -> ProbeRequest {
    var request = ProbeRequest(dataDirectory: host.cluster.dataDirectory)
    request.duration = duration
    request.interval = 0.2
    request.copyTime = 600
    return request
  }

  private func provider(
    _ host: FakeHost, growth: UInt64 = 4096, _ faults: FakeSnapshots.Fault...
  ) throws -> FakeSnapshots {
    let chunks = OverwrittenChunks(chunkSize: 4096, numbers: [1, 2, 3])
    return try FakeSnapshots(
      host.volumes, faults: faults, growth: growth, chunks: [host.volumes[0].name: chunks])
  }

  @Test("It freezes, watches, asks for checkpoints, lets go, and recommends")
  func whole() throws {
    let host = try FakeHost()
    try host.cluster.sql("CREATE TABLE here (n int)")
    let before = try host.cluster.sql("SELECT checkpoints_req FROM pg_stat_bgwriter")
    let provider = try provider(host)
    let recorder = Recorder { event in
      guard case .began(.watch) = event else { return }
      _ = try? host.cluster.sql("INSERT INTO here SELECT generate_series(1, 100000)")
      try? host.sysfs.count(40 << 20, to: host.volumes[0])
    }
    let result = try probe(
      request(host), with: provider, recorder, Cancellation(), discovery: host.discovery())
    #expect(recorder.phases == [.discover, .plan, .prepare, .freeze, .watch, .release])
    #expect(provider.snapshots.isEmpty)
    #expect(result.release.removed.count == 2)
    let report = result.report
    #expect(report.ending == .complete)
    #expect(report.watched >= 2)
    #expect(report.samples.compactMap(\.flushedFrom).count == ProbePlan.checkpoints.count)
    // The freeze's own, and one after each part.
    let after = try host.cluster.sql("SELECT checkpoints_req FROM pg_stat_bgwriter")
    #expect(try #require(Int(after)) - #require(Int(before)) >= 5)
    let times = report.samples.map(\.seconds)
    #expect(times.count > 4 && times == times.sorted() && times.first == 0)
    #expect(report.volumes.map(\.origin) == host.volumes.map(\.name))
    for volume in report.volumes {
      #expect(volume.used > 0 && volume.need.seen == volume.used)
      #expect(volume.recommended % host.volumes[0].extentSize == 0)
      #expect(volume.recommended >= volume.need.likely)
    }
    #expect(report.volumes[0].chunkCosts.first?.bytes == 5 * 4096)
    #expect(report.volumes[1].chunkCosts.isEmpty)
    #expect(report.bounds.isEmpty)
    #expect(report.sentence.contains("for a copy of 10 min 00 s (--copy-time), type: "))
    #expect(report.sentence.contains("pgstill backup --snapshot-size "))
  }

  @Test("WAL that is written while it watches counts on the volume that carries it")
  func wal() throws {
    let host = try FakeHost()
    try host.cluster.sql("CREATE TABLE here (n int)")
    let over = Cancellation()
    // Not while the fake copies, which a segment that is renamed meanwhile would end.
    let isWatching = Mutex(false)
    let recorder = Recorder { event in
      if case .began(.watch) = event { isWatching.withLock { $0 = true } }
    }
    let writer = try WorkerThread {
      while !over.isCancelled {
        guard isWatching.withLock({ $0 }) else {
          Clock.sleep(milliseconds: 10)
          continue
        }
        _ = try? host.cluster.sql("INSERT INTO here SELECT generate_series(1, 20000)")
      }
    }
    defer {
      over.cancel(StillError(.failed, "the probe is done"))
      writer.join()
    }
    let report = try probe(
      request(host), with: provider(host), recorder, Cancellation(), discovery: host.discovery()
    ).report
    #expect(report.samples.last?.wal ?? 0 > 2 << 20)
    // A load without end writes all segments over: max_wal_size, which initdb makes 64 of them, and two.
    let base = try #require(report.samples.first).used[1]
    #expect(report.volumes[1].need.likely == base + (66 << 20))
    #expect(report.volumes[0].need.likely < 100 << 20)
  }

  @Test("A signal while it watches ends it early, with what was seen")
  func signal() throws {
    let host = try FakeHost()
    let provider = try provider(host)
    let cancellation = Cancellation()
    let sender = try WorkerThread {
      while provider.calls.count(where: { $0 == .fill }) < 8 { Clock.sleep(milliseconds: 10) }
      cancellation.cancel(.interrupted(by: SIGINT))
    }
    defer { sender.join() }
    let result = try probe(
      request(host, duration: 3600), with: provider, Recorder(), cancellation,
      discovery: host.discovery())
    #expect(result.report.ending == .signal(number: SIGINT))
    #expect(result.report.earlyEnd == "signal 2")
    #expect(result.report.samples.count > 1)
    #expect(result.report.volumes.allSatisfy { $0.need.isRough && $0.used > 0 })
    #expect(provider.snapshots.isEmpty)
  }

  @Test("A signal before it watches ends the run")
  func earlySignal() throws {
    let host = try FakeHost()
    let provider = try provider(host)
    let cancellation = Cancellation()
    let recorder = Recorder { event in
      if case .began(.freeze) = event { cancellation.cancel(.interrupted(by: SIGTERM)) }
    }
    #expect(throws: StillError.self) {
      try probe(
        request(host), with: provider, recorder, cancellation, discovery: host.discovery())
    }
    #expect(provider.snapshots.isEmpty)
  }

  @Test("A reason to stop that is no signal is a failure")
  func failure() throws {
    let host = try FakeHost()
    let gone = StillError(.volumes, "it was removed")
    let provider = try provider(host, .init(.fill, call: 6, .fails(gone)))
    #expect {
      try probe(
        request(host, duration: 3600), with: provider, Recorder(), Cancellation(),
        discovery: host.discovery())
    } throws: { ($0 as? StillError)?.message == "it was removed" }
    #expect(provider.snapshots.isEmpty)
  }

  @Test("A snapshot that overflows all the same ends it, and what was seen before counts")
  func overflow() throws {
    let host = try FakeHost()
    let provider = try provider(host, .init(.fill, call: 8, .overflows))
    let report = try probe(
      request(host, duration: 3600), with: provider, Recorder(), Cancellation(),
      discovery: host.discovery()
    ).report
    guard case .overflow(let message) = report.ending else {
      Issue.record("\(report.ending)")
      return
    }
    #expect(message.contains("overflowed"))
    #expect(report.samples.allSatisfy { $0.used.allSatisfy { $0 > 0 } })
    #expect(report.volumes[0].chunkCosts.isEmpty)
    // Whatever its looks say, what overflowed is too small.
    let store = try #require(report.volumes.compactMap(\.filled).first)
    #expect(try #require(report.snapshotSize) >= 2 * store)
  }

  @Test("A server that goes away takes nothing back of what was seen")
  func serverGone() throws {
    let host = try FakeHost()
    let provider = try provider(host)
    let stopper = Monitor<WorkerThread?>(nil)
    let stops = Recorder { event in
      guard case .began(.watch) = event else { return }
      let thread = try? WorkerThread {
        Clock.sleep(milliseconds: 1500)
        _ = try? host.cluster.run(
          "pg_ctl", ["stop", "-s", "-m", "immediate", "-D", host.cluster.dataDirectory.string])
      }
      stopper.update { $0 = thread }
    }
    let result = try probe(
      request(host, duration: 3600), with: provider, stops, Cancellation(),
      discovery: host.discovery())
    stopper.update { $0 }?.join()
    guard case .failed = result.report.ending else {
      Issue.record("\(result.report.ending)")
      return
    }
    #expect(result.report.samples.count > 1)
    #expect(provider.snapshots.isEmpty)
  }

  @Test("A snapshot that is nearly full and cannot grow ends it in time")
  func nearlyFull() throws {
    let host = try FakeHost()
    var request = request(host, duration: 3600)
    request.snapshotSize = .bytes(40 << 20)
    request.extending = ExtensionPolicy(keptFree: 1 << 40)
    let provider = try provider(host, growth: 4 << 20)
    let report = try probe(
      request, with: provider, Recorder(), Cancellation(), discovery: host.discovery()
    ).report
    #expect(report.ending == .full(origin: host.volumes[0].name))
    #expect(report.earlyEnd == "the snapshot of vg0/data was about to be full")
    #expect(report.volumes[0].filled == 40 << 20)
    #expect(report.sentence.contains("type at least: pgstill backup"))
    #expect(provider.snapshots.isEmpty)
  }

  @Test("What cannot be snapshotted has an upper bound, by the kernel's figures or by the server's")
  func bounds() throws {
    let host = try FakeHost()
    try host.cluster.sql("CREATE TABLE here (n int)")
    var volumes = host.volumes
    for index in volumes.indices { volumes[index].obstacle = "it is a cat" }
    let writes = Recorder { event in
      guard case .began(.watch) = event else { return }
      try? host.sysfs.count(0, to: host.volumes[0])
      _ = try? WorkerThread {
        Clock.sleep(milliseconds: 1000)
        _ = try? host.cluster.sql("INSERT INTO here SELECT generate_series(1, 200000)")
        try? host.sysfs.count(60 << 20, to: host.volumes[0])
      }
    }
    let provider = try FakeSnapshots(volumes)
    // The second volume is one that nobody counts for.
    let stat = host.sysfs.path(of: "stat", host.volumes[1])
    try Tool.demand("rm", stat.string)
    let report = try probe(
      request(host, duration: 3), with: provider, writes, Cancellation(),
      discovery: host.discovery()
    ).report
    #expect(!provider.calls.contains(.prepare))
    #expect(report.volumes.isEmpty && report.snapshotSize == nil)
    #expect(report.sentence.contains("only upper bounds"))
    #expect(report.plan.advice.allSatisfy { $0.contains("it is a cat") })
    #expect(report.bounds.count == 2)
    #expect(report.bounds[0].written == 60 << 20)
    #expect(report.bounds[0].source.contains("the kernel counts"))
    // A row of int takes some 36 bytes, and as much WAL twice.
    #expect(report.bounds[1].written > 200_000 * 36)
    #expect(report.bounds[1].source.contains("the server counts"))
    let times = 600 / report.watched * 2
    let most = Double(report.bounds[0].written) * times
    #expect(abs(Double(report.bounds[0].most) - most) < most / 1000)
  }

  @Test("The cost of chunks is counted for the sizes that were asked for")
  func chunkSizes() throws {
    let host = try FakeHost()
    var request = request(host, duration: 1)
    request.chunkSizes = [8 << 10, 512 << 10]
    let report = try probe(
      request, with: provider(host), Recorder(), Cancellation(), discovery: host.discovery()
    ).report
    #expect(report.volumes[0].chunkCosts.map(\.chunkSize) == [8 << 10, 512 << 10])
  }

  @Test("It gives way to whoever needs the volumes for a copy, with what it has seen")
  func givesWay() throws {
    let host = try FakeHost()
    let wanted = StillError(.busy, "another run needs the volumes for a copy")
    let provider = try provider(host, FakeSnapshots.Fault(.fill, call: 9, .fails(wanted)))
    let result = try probe(
      request(host, duration: 60), with: provider, Recorder(), Cancellation(),
      discovery: host.discovery())
    #expect(result.report.ending == .gaveWay)
    #expect(result.report.watched < 60 && result.report.samples.count > 1)
    #expect(provider.snapshots.isEmpty)
    let calls = provider.calls
    let offered = try #require(calls.firstIndex(of: .giveWay))
    #expect(try offered < #require(calls.firstIndex(of: .prepare)))
  }

  @Test("It watches the snapshots of a run that copies, and asks for no checkpoint")
  func joins() throws {
    let host = try FakeHost()
    let provider = try provider(host, growth: 1 << 20)
    let other = try held(by: provider, host)
    let count = "SELECT checkpoints_req FROM pg_stat_bgwriter"
    let before = try host.cluster.sql(count)
    let recorder = Recorder()
    let result = try probe(
      request(host, duration: 5), with: provider, recorder, Cancellation(),
      discovery: host.discovery())
    #expect(recorder.phases == [.discover, .plan, .watch])
    #expect(try host.cluster.sql(count) == before)
    let report = result.report
    #expect(report.ending == .complete && report.plan.joined?.run == other)
    // The freeze, and a look every two seconds.
    #expect(report.samples.count >= 4)
    #expect(
      report.samples[0] == ProbeSample(seconds: 0, wal: 0, used: [0, 0], written: [nil, nil]))
    #expect(report.samples[1].seconds >= 0)
    for (index, volume) in report.volumes.enumerated() {
      #expect(volume.origin == host.volumes[index].name)
      #expect(volume.used == report.samples.last?.used[index] && volume.used >= 3 << 20)
      #expect(volume.recommended > volume.used * 10)
      // The other run's snapshots take nothing any more when it is done.
      let size = report.plan.volumes[index].snapshotSize
      #expect(volume.free >= host.volumes[index].groupFree + size)
    }
    // What it did not make, it does not take away.
    #expect(provider.snapshots.count == 2 && !provider.calls.contains(.release))
  }

  @Test("It does not go on without snapshots where a run at work cannot be joined")
  func cannotJoin() throws {
    let host = try FakeHost()
    let provider = try provider(host)
    let run = RunID(at: Clock.now())
    _ = try provider.prepare(
      run, host.volumes.map { SnapshotRequest(origin: $0.name, size: 64 << 20) },
      folders: host.volumes.map { try OpenFolder.open($0.folders[0]) })
    let count = "SELECT checkpoints_req FROM pg_stat_bgwriter"
    let before = try host.cluster.sql(count)
    let failure = #expect(throws: StillError.self) {
      try probe(
        request(host), with: provider, Recorder(), Cancellation(), discovery: host.discovery())
    }
    #expect(failure?.status == .busy && failure?.message.contains("\(run)") == true)
    #expect(failure?.hint?.contains("has not frozen them yet") == true)
    #expect(try host.cluster.sql(count) == before)
    #expect(provider.snapshots.count == 2)
  }

  @Test("What it saw of a run that it joined is not lost where LVM fails")
  func joinedAndFailed() throws {
    let host = try FakeHost()
    let fails = FakeSnapshots.Fault(.held, call: 4, .fails(StillError(.volumes, "no answer")))
    let provider = try provider(host, growth: 1 << 20, fails)
    _ = try held(by: provider, host)
    let report = try probe(
      request(host, duration: 60), with: provider, Recorder(), Cancellation(),
      discovery: host.discovery()
    ).report
    #expect(report.ending == .failed(message: "no answer"))
    #expect(report.samples.count == 3)
  }

  @Test("The run that it joined is done: so is the probe")
  func joinedRunEnds() throws {
    let host = try FakeHost()
    let waiting = Mutex<FakeSnapshots?>(nil)
    let lets = FakeSnapshots.Fault(
      .held, call: 4,
      .meanwhile { _ = try waiting.withLock { $0 }?.release() })
    let provider = try provider(host, growth: 1 << 20, lets)
    let other = try held(by: provider, host)
    waiting.withLock { $0 = provider }
    let report = try probe(
      request(host, duration: 60), with: provider, Recorder(), Cancellation(),
      discovery: host.discovery()
    ).report
    #expect(report.ending == .released(run: other))
    #expect(report.samples.count == 3 && report.watched < 60)
  }

  /// A set that another run holds.
  private func held(by provider: FakeSnapshots, _ host: FakeHost) throws -> RunID {
    let run = RunID(at: Clock.now())
    _ = try provider.prepare(
      run, host.volumes.map { SnapshotRequest(origin: $0.name, size: 64 << 20) },
      folders: host.volumes.map { try OpenFolder.open($0.folders[0]) })
    _ = try provider.freeze(deadline: 5)
    return run
  }

  @Test(
    "A copy takes as long as the longest of the last backups; without one, as a trial read says")
  func copyTime() throws {
    let host = try FakeHost()
    let place = try TestFolder(on: .memory, owner: FakeHost.owner)
    var request = request(host)
    request.copyTime = nil
    let guess = try planProbe(
      request, with: provider(host), Recorder(), discovery: host.discovery())
    #expect(guess.copyTime.seconds == 60)
    #expect(guess.copyTime.reason.contains("--copy-time says it better"))
    let repository = place.path.appending("repo")
    try host.backUp(host.request(repository))
    request.repository = repository
    request.cluster = "main"
    let known = try planProbe(
      request, with: provider(host), Recorder(), discovery: host.discovery())
    #expect(known.copyTime.reason == "as the last backup took")
    #expect(known.copyTime.seconds < 60)
    #expect(known.volumes.map(\.origin) == host.volumes.map(\.name))
  }
}
