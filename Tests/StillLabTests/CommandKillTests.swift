import CFreeze
import Foundation
import StillModel
import StillSystem
import StillTestSupport
import StillVolumes
import Testing

extension LabTests {
  /// The broker is killed in the middle of LVM's own commands, which suspend devices as well.
  @Suite(.serialized)
  struct CommandKillTests {
    @Test(arguments: ["create", "remove"])
    func aBrokerKilledInsideAnLVMCommandLeavesNothingSuspended(command: String) throws {
      try Lab.cluster()
      let heart = try Heartbeat(["/mnt/data", "/mnt/tbs"])
      var caught = 0
      let rounds = Lab.runsAll ? 20 : 4
      for round in 1...rounds {
        let victim = try Victim()
        defer { victim.broker.end() }
        // Later and later behind the moment in which the origin is seen suspended; every second time
        // a guard goes with it.
        let killed = try victim.kill(
          in: command, after: Double((round - 1) / 2) * 0.001, guards: round % 2 == 0 ? 1 : 0)
        caught += killed.isEmpty ? 0 : 1
        try waitUntil("everything runs again") { try Lab.suspendedDevices().isEmpty }
        print("\(command) \(round): suspended at the kill: \(killed.joined(separator: " "))")
        let release = try Lab.pgstill("release")
        #expect(release.status == 0, "\(release.talk)")
        #expect(try Lab.snapshots() == [])
        #expect(try Lab.suspendedDevices() == [])
        #expect(try Lab.ownDevices() == [])
      }
      let longest = try heart.end()
      print(
        "\(command): \(caught) of \(rounds) killed with something suspended; the longest stall \(longest) s"
      )
      #expect(caught >= 2, "the broker was hardly ever killed at a bad moment")
      #expect(longest < 5, "somebody waited for \(longest) s")
      #expect(try Lab.sql("select 1") == "1")
    }
  }

  /// A broker with a set of two volumes, to be killed.
  private struct Victim {
    let broker: BrokerClient
    let process: Int32
    private let folders: [OpenFolder]
    private let run = RunID(at: Clock.now())
    private let requests = ["vg0/data", "vg1/tbs"].compactMap { VolumeName($0) }
      .map { SnapshotRequest(origin: $0, size: 32 << 20) }

    init() throws {
      folders = try requests.map { try OpenFolder.open(Lab.folder(on: $0.origin)) }
      let marks = try Marks()
      setenv("PGSTILL_TEST_MARKS", marks.path, 1)
      defer { unsetenv("PGSTILL_TEST_MARKS") }
      broker = try BrokerClient.start(
        program: Lab.programPath, owner: try Lab.postgresUser())
      process = try marks.wait(for: "started", of: "broker")
    }

    /// Lets LVM make or remove the snapshots, and kills the broker while an origin is suspended.
    ///
    /// - Returns: what was suspended then.
    func kill(in command: String, after delay: Double, guards: Int) throws -> [String] {
      if command == "remove" { _ = try broker.prepare(run, requests, folders: folders) }
      let origin = requests[0].origin.deviceName
      let process = self.process
      let watcher = DispatchQueue(label: "watcher")
      nonisolated(unsafe) var found: [String] = []
      let devices = try Devices()
      watcher.async {
        freeze_hurry(true, 5)
        let names = [origin, origin + "-real"]
        for _ in 0..<20_000 where Glibc.kill(process, 0) == 0 {
          if names.contains(where: devices.isSuspended) {
            usleep(UInt32(delay * 1e6))
            for guardian in Lab.guards(of: process).prefix(guards) { Glibc.kill(guardian, SIGKILL) }
            Glibc.kill(process, SIGKILL)
            found = names.filter(devices.isSuspended)
            break
          }
          usleep(500)
        }
        freeze_hurry(false, 0)
      }
      do {
        if command == "remove" {
          _ = try broker.release()
        } else {
          _ = try broker.prepare(run, requests, folders: folders)
        }
        Issue.record("the broker was not killed")
      } catch {}
      watcher.sync {}
      return found
    }
  }
}
