import Foundation
import StillModel
import StillSystem
import StillTestSupport
import StillVolumes
import SystemPackage
import Testing

extension LabTests {
  /// A leftover that somebody uses cannot be removed; who that is has to be told.
  @Suite(.serialized)
  struct HolderTests {
    private let origin = VolumeName(group: "vg1", volume: "tbs")
    private let place = "/mnt/leftover"

    @Test func whoeverHoldsALeftoverIsNamed() throws {
      let snapshot = try frozenSnapshot { _ in
        try Tool.demand("pkill", "-KILL", "-f", "pgstill broker")
      }
      try mount(snapshot)
      let sitting = try Background("cd \(place); exec sleep 300")
      let reading = try Background("exec sleep 300 </dev/mapper/\(snapshot.deviceName)")
      defer { [sitting, reading].forEach { $0.end() } }
      try waitUntil("both hold it") {
        let opens = try Tool.demand(
          "dmsetup", "info", "-c", "--noheadings", "-o", "open", snapshot.deviceName)
        return (Int(opens.trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0) >= 2
          && isSleeping(sitting.process) && isSleeping(reading.process)
      }
      let release = try Lab.pgstill("release")
      #expect(release.status == 15)
      #expect(
        release.talk.contains("\(snapshot) (it is still open: held by pid "), "\(release.talk)")
      #expect(release.talk.contains("pid \(sitting.process) (sleep)"), "\(release.talk)")
      #expect(release.talk.contains("pid \(reading.process) (sleep)"), "\(release.talk)")
      #expect(
        release.talk.contains("mounted at \(place) in the namespace of pid 1"), "\(release.talk)")
      #expect(release.talk.contains("hint: End or unmount what holds them"))
      #expect(try Lab.snapshots() == [snapshot.volume])

      [sitting, reading].forEach { $0.end() }
      try Tool.demand("umount", place)
      let next = try Lab.pgstill("release")
      #expect(next.status == 0, "\(next.talk)")
      #expect(next.output == "removed \(snapshot)\n")
      #expect(try Lab.snapshots() == [])
    }

    @Test func whatABrokerCannotRemoveAfterItsCoordinatorsEndIsInTheSystemsLog() throws {
      let log = try SystemsLog()
      let snapshot = try frozenSnapshot { broker in
        let snapshot = try #require(try broker.held().first?.snapshots.first?.name)
        try mount(snapshot)
        broker.end()
      }
      let lines = log.lines()
      #expect(lines.contains { $0.contains("pgstill[") && $0.contains("\(snapshot)") }, "\(lines)")
      #expect(lines.contains { $0.contains("mounted at \(place)") }, "\(lines)")
      try Tool.demand("umount", place)
      #expect(try Lab.pgstill("release").status == 0)
      #expect(try Lab.snapshots() == [])
    }

    @Test func aBackupSaysWhatDeadRunsHaveLeftAndWhoHoldsIt() throws {
      let snapshot = try frozenSnapshot { _ in
        try Tool.demand("pkill", "-KILL", "-f", "pgstill broker")
      }
      try mount(snapshot)
      let repository = try Lab.newFolder("repo")
      let backup = try Lab.pgstill("backup", "--pgdata", Lab.dataDirectory, "--repo", repository)
      #expect(backup.status == 15, "\(backup.talk)")
      #expect(backup.talk.contains("\(snapshot) (it is still open: "), "\(backup.talk)")
      #expect(backup.talk.contains("mounted at \(place) in the "), "\(backup.talk)")
      #expect(try Lab.published(repository).count == 1)
      #expect(try Lab.snapshots() == [snapshot.volume])
      try Tool.demand("umount", place)
      #expect(try Lab.pgstill("release").status == 0)
    }

    /// Freezes a set, lets `body` end its broker, and says what is left.
    private func frozenSnapshot(_ body: (BrokerClient) throws -> Void) throws -> VolumeName {
      try Lab.cluster()
      let broker = try BrokerClient.start(
        program: Lab.programPath, owner: try Lab.postgresUser())
      defer { broker.end() }
      let made = try broker.prepare(
        RunID(at: Clock.now()), [SnapshotRequest(origin: origin, size: 64 << 20)],
        folders: [OpenFolder.open(Lab.folder(on: origin))])
      _ = try broker.freeze(deadline: 5)
      try body(broker)
      return try #require(made.first).snapshot
    }

    private func mount(_ snapshot: VolumeName) throws {
      try Tool.demand("mkdir", "-p", place)
      try Tool.demand("mount", "-o", "ro,nouuid", "/dev/mapper/\(snapshot.deviceName)", place)
    }

    private func isSleeping(_ process: Int32) -> Bool {
      (try? String(contentsOfFile: "/proc/\(process)/comm", encoding: .utf8)) == "sleep\n"
    }
  }
}

/// Stands in for the daemon that takes what syslog(3) sends.
private final class SystemsLog {
  private let socket: Int32

  init() throws {
    socket = Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array("/dev/log".utf8)) }
    unlink("/dev/log")
    let bound = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard bound == 0 else { throw Trouble("/dev/log cannot be had: \(errno)") }
  }

  deinit {
    close(socket)
    unlink("/dev/log")
  }

  /// What has come so far.
  func lines() -> [String] {
    var lines: [String] = []
    var buffer = [UInt8](repeating: 0, count: 8192)
    while true {
      let got = recv(socket, &buffer, buffer.count, Int32(MSG_DONTWAIT))
      guard got > 0 else { return lines }
      lines.append(String(decoding: buffer[..<got], as: UTF8.self))
    }
  }
}
