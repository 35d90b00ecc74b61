import Foundation
import StillModel
import StillSystem
import StillTestSupport
import StillVolumes
import Synchronization
import SystemPackage
import Testing

extension LabTests {
  /// Whether what a probe recommends is what a copy then needs.
  @Suite(.serialized)
  struct ProbeTests {
    /// A tenth of a copy, with a tenth of the usual time between checkpoints.
    private static let seconds = 60
    private static let volumes = ["vg0/data", "vg0/wal", "vg1/tbs"].compactMap { VolumeName($0) }

    private func held(
      _ size: UInt64, _ volumes: [VolumeName], _ body: (BrokerClient) throws -> Void
    ) throws {
      let broker = try BrokerClient.start(program: Lab.programPath, owner: try Lab.postgresUser())
      defer { broker.end() }
      _ = try broker.prepare(
        RunID(at: Clock.now()), volumes.map { SnapshotRequest(origin: $0, size: size) },
        folders: volumes.map { try OpenFolder.open(Lab.folder(on: $0)) })
      defer { _ = try? broker.release() }
      _ = try Lab.sql("CHECKPOINT")
      try Tool.demand("sync")
      _ = try broker.freeze(deadline: 5)
      try body(broker)
    }

    private static func alter(_ change: String) throws {
      _ = try Lab.sql("ALTER SYSTEM \(change)")
      _ = try Lab.sql("SELECT pg_reload_conf()")
    }

    @Test func aRealSnapshotUnderTheSameLoadNeedsNoMoreThanWasRecommended() throws {
      try Lab.cluster()
      try Self.alter("SET checkpoint_timeout = '30s'")
      defer { try? Self.alter("RESET checkpoint_timeout") }
      let notes = try Lab.newFolder("load")
      try Tool.demand(Lab.helper("load"), "start", notes, "1")
      defer { _ = try? Tool.demand(Lab.helper("load"), "stop", notes) }
      let probe = try Lab.pgstill(
        "probe", "--pgdata", Lab.dataDirectory, "--duration", "20s", "--copy-time",
        "\(Self.seconds)s", "--snapshot-size", "120M", "--report", "/tmp/probe.html", "--json")
      #expect(probe.status == 0, "\(probe.talk)")
      #expect(try Lab.snapshots() == [])
      let document = try Lab.json(probe.output)
      let sentence = try #require(document["recommendation"] as? String)
      #expect(sentence.contains("type: pgstill backup --snapshot-size "))
      let page = try String(contentsOfFile: "/tmp/probe.html", encoding: .utf8)
      #expect(page.contains("<h1>Tonight, give each snapshot "))
      let size = try #require(sentence.split(separator: " ").last)
      #expect(page.contains("--snapshot-size \(size)</span>"))
      for index in Self.volumes.indices { #expect(page.contains("id=\"need-\(index)-wide\"")) }
      let report = try #require(document["report"] as? [String: Any])
      let volumes = try #require(report["volumes"] as? [[String: Any]])
      #expect(volumes.compactMap { $0["origin"] as? String } == Self.volumes.map(\.description))
      var recommended: [UInt64] = []
      for volume in volumes {
        recommended.append(try #require(volume["recommended"] as? UInt64))
        let used = try #require(volume["used"] as? UInt64)
        let costs = try #require(volume["chunkCosts"] as? [[String: Any]])
        let own = try #require(costs.first?["bytes"] as? UInt64)
        // The list is read a moment after the last look.
        #expect(own >= used - used / 20 - 65536 && own < used * 2 + 65536, "\(own) of \(used)")
      }
      #expect(volumes[0]["written"] as? UInt64 ?? 0 >= volumes[0]["used"] as? UInt64 ?? 1)

      var needed: [UInt64] = []
      try held(120 << 20, Self.volumes) { broker in
        // As a backup does, which has to read them.
        let roots = try broker.open()
        defer { roots.forEach { $0.close() } }
        Clock.sleep(milliseconds: UInt32(Self.seconds * 1000))
        let fills = try broker.fill()
        #expect(fills.allSatisfy { $0.state == .valid })
        needed = fills.map(\.used)
      }
      print("recommended \(recommended), needed \(needed)")
      for (size, need) in zip(recommended, needed) { #expect(size >= need, "\(sentence)") }
      // A machine that has other work meanwhile is not always as fast; an extent more is for each volume.
      let extents: UInt64 = 3 * (4 << 20)
      let (given, taken) = (recommended.reduce(0, +), needed.reduce(0, +))
      #expect(given < 4 * taken + extents)
    }

    /// A night's backup is worth more than a probe that somebody has forgotten.
    @Test func aProbeGivesWayToABackupAndTheNextOneJoinsIt() throws {
      try Lab.cluster()
      let repository = try Lab.newFolder("repo")
      let first = try Beside(
        ["probe", "--duration", "1h", "--copy-time", "60s", "--json"], reaching: "watching")
      defer { first.end() }
      let backup = try Beside(
        ["backup", "--repo", repository, "--rate-limit", "3M", "--json"], reaching: "opened")
      defer { backup.end() }
      let outcome = try first.finish()
      #expect(outcome.status == 0, "\(outcome.talk)")
      let ended = try Lab.json(outcome.output)
      #expect(ended["endedEarly"] as? String == "a copy needs the volumes now")
      #expect(ended["recommendation"] != nil)
      // Its snapshots are gone; the backup's are there.
      #expect(try Lab.snapshots().count == Self.volumes.count)

      let joined = try Lab.pgstill(
        "probe", "--pgdata", Lab.dataDirectory, "--duration", "5s", "--copy-time", "60s", "--json")
      #expect(joined.status == 0, "\(joined.talk)")
      let report = try #require(Lab.json(joined.output)["report"] as? [String: Any])
      let plan = try #require(report["plan"] as? [String: Any])
      let run = try #require((plan["joined"] as? [String: Any])?["run"] as? String)
      #expect(try Lab.snapshots().count == Self.volumes.count)
      let samples = try #require(report["samples"] as? [[String: Any]])
      let looks = samples.dropFirst().compactMap { $0["seconds"] as? Double }
      #expect(looks.count >= 2 && looks.allSatisfy { $0 > 0 && $0 < 600 }, "\(looks)")

      let copied = try backup.finish()
      #expect(copied.status == 0, "\(copied.talk)")
      #expect(copied.talk.contains(" gave way"))
      let record = try #require(Lab.json(copied.output)["backup"] as? [String: Any])
      #expect(record["id"] as? String == run)
      #expect(try Lab.snapshots() == [])
      #expect(try Tool.demand("ls", "/run/pgstill").isEmpty)
    }

    /// Several snapshots of one origin see the same writes.
    @Test func theCostOfOtherChunksIsThatOfRealSnapshotsWithThem() throws {
      try Lab.cluster()
      let notes = try Lab.newFolder("load")
      try Tool.demand(Lab.helper("load"), "start", notes, "1")
      defer { _ = try? Tool.demand(Lab.helper("load"), "stop", notes) }
      let origin = Self.volumes[0]
      let kibibytes: [UInt64] = [8, 32]
      defer {
        for size in kibibytes { _ = try? Tool.demand("lvremove", "-qq", "-y", "vg0/chunk\(size)") }
      }
      var costs: [ChunkCost] = []
      var used: [UInt64: UInt64] = [:]
      try held(100 << 20, [origin]) { broker in
        for size in kibibytes {
          try Tool.demand(
            "lvcreate", "-qq", "-s", "-c", "\(size)k", "-L", "100M", "-n", "chunk\(size)",
            origin.description)
        }
        Clock.sleep(milliseconds: 15_000)
        _ = try Lab.sql("CHECKPOINT")
        try Tool.demand("sync")
        // What they have not seen, because they came later, is little beside what comes then; nothing may come
        // between the looks.
        try Tool.demand(Lab.helper("load"), "pause", notes)
        defer { _ = try? Tool.demand(Lab.helper("load"), "resume", notes) }
        try Tool.demand("sync")
        costs = try #require(try broker.overwritten().first ?? nil).costs()
        for size in kibibytes {
          let words = try Tool.demand("dmsetup", "status", "vg0-chunk\(size)").split(separator: " ")
          let sectors = try #require(words.dropFirst(3).first?.split(separator: "/").first)
          used[size] = try #require(UInt64(sectors)) * 512
        }
      }
      for size in kibibytes {
        let cost = try #require(costs.first { $0.chunkSize == size << 10 }).bytes
        let real = try #require(used[size])
        print("chunks of \(size)k: \(cost) by the list, \(real) in a real snapshot")
        #expect(abs(Double(cost) / Double(real) - 1) < 0.1)
      }
    }

    /// A probe may begin after a backup has asked for the last time, and while the probe is not frozen yet.
    @Test func whoPreparesHasOthersGiveWay() throws {
      try Lab.cluster()
      let origin = Self.volumes[0]
      let requests = [SnapshotRequest(origin: origin, size: 32 << 20)]
      let folders = { [try OpenFolder.open(Lab.folder(on: origin))] }
      let (owner, program) = (try Lab.postgresUser(), Lab.programPath)
      let probe = try BrokerClient.start(program: program, owner: owner)
      defer { probe.end() }
      let copy = try BrokerClient.start(program: program, owner: owner)
      defer { copy.end() }
      try probe.giveWay()
      _ = try probe.prepare(RunID(at: Clock.now()), requests, folders: folders())
      let refusal = Mutex<StillError?>(nil)
      let thread = try WorkerThread {
        while (try? probe.fill()) != nil { Clock.sleep(milliseconds: 50) }
        do { _ = try probe.freeze(deadline: 5) } catch {
          refusal.withLock { $0 = error as? StillError }
        }
        _ = try? probe.release()
      }
      let facts = try copy.prepare(RunID(at: Clock.now()), requests, folders: folders())
      thread.join()
      #expect(refusal.withLock { $0 }?.status == .busy)
      #expect(try Lab.snapshots() == facts.map(\.snapshot.volume))
      _ = try copy.freeze(deadline: 5)
      _ = try copy.release()
      #expect(try Tool.demand("ls", "/run/pgstill").isEmpty)
    }

    /// pgstill at work beside the test.
    private struct Beside {
      private let notes: String
      private let work: Background

      /// - Parameter step: is waited for.
      init(_ words: [String], reaching step: String) throws {
        notes = try Lab.newFolder("notes")
        let marks = notes + "/marks"
        try Tool.demand("install", "-m", "666", "/dev/null", marks)
        try Tool.demand("chmod", "755", notes)
        work = try Background(
          "PGSTILL_TEST_MARKS=\(marks) exec \(Lab.executable("pgstill")) "
            + "\(words.joined(separator: " ")) --pgdata \(Lab.dataDirectory) "
            + ">\(notes)/output 2>\(notes)/talk")
        try waitUntil("it reached \(step): \(words)") {
          try text("marks").split(separator: "\n").contains { $0.hasSuffix(" \(step)") }
        }
      }

      func finish() throws -> (status: Int32, output: String, talk: String) {
        (work.wait(), try text("output"), try text("talk"))
      }

      func end() { work.end() }

      private func text(_ name: String) throws -> String {
        try String(contentsOfFile: "\(notes)/\(name)", encoding: .utf8)
      }
    }
  }
}
