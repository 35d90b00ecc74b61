import CFreeze
import Foundation
import StillModel
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

@testable import StillVolumes

extension LabTests {
  /// Others are at work on the same devices, or the devices are slow, while a set is frozen.
  @Suite(.serialized)
  struct OtherHandsTests {
    @Test func aSnapshotThatLVMPutInPlaceBeforeTheWindowIsPutBack() throws {
      try Lab.cluster()
      let broker = try BrokerClient.start(
        program: Lab.programPath, owner: try Lab.postgresUser())
      defer { broker.end() }
      let names = [
        VolumeName(group: "vg0", volume: "data"), VolumeName(group: "vg1", volume: "tbs"),
      ]
      _ = try broker.prepare(
        RunID(at: Clock.now()), names.map { SnapshotRequest(origin: $0, size: 32 << 20) },
        folders: try names.map { try OpenFolder.open(Lab.folder(on: $0)) })
      // This reloads the origin, and with it our snapshot, which begins there and then.
      try Tool.demand("lvchange", "--refresh", "vg0/data")
      for folder in ["/mnt/data", "/mnt/tbs"] { try Tool.demand("touch", folder + "/late") }
      _ = try broker.freeze(deadline: 5)
      let roots = try broker.open()
      for root in roots { #expect(try root.metadataIfPresent(of: "late") != nil, "\(root.path)") }
      roots.forEach { $0.close() }
      #expect(try broker.release().left == [])
      try Tool.demand("rm", "/mnt/data/late", "/mnt/tbs/late")
    }

    @Test func anOriginThatSomebodyElseHoldsIsLeftToHim() throws {
      try withDevice { device in
        try Tool.demand("dmsetup", "suspend", device)
        let window = try freeze(device, deadline: 5)
        #expect(window.outcome == FREEZE_ORIGIN_BUSY)
        #expect(try Lab.suspendedDevices().contains { $0.hasPrefix(device) })
        try Tool.demand("dmsetup", "resume", device)
      }
    }

    @Test func aDiskThatIsSlowToFlushLeavesNothingSuspended() throws {
      try withDevice { device in
        try Tool.demand("dd", "if=/dev/zero", "of=/mnt/slow1/dirty", "bs=1M", "count=8")
        try Tool.demand("dmsetup", "suspend", "--nolockfs", "--noflush", "vg1-slow1")
        let helper = try Background("sleep 3; dmsetup resume vg1-slow1")
        // The guard acts while the suspend waits for the disk, and the suspend succeeds after that.
        let window = try freeze(device, deadline: 1)
        _ = helper.wait()
        #expect(window.outcome == FREEZE_GUARD_ACTED)
        #expect(try Lab.suspendedDevices() == [])
        try Tool.demand("touch", "/mnt/slow1/after")
      }
    }

    /// The guards are still there, or were a moment ago; what they see suspended is no longer ours.
    @Test(arguments: [SIGKILL, SIGSTOP])
    func aSuspendAfterTheGuardsHaveActedIsSomebodyElses(signal: Int32) throws {
      try Lab.cluster()
      let victim = try KillVictim(at: "all-suspended", rest: 1, try Lab.newFolder("repo"))
      try victim.waitInside()
      let devices = try Devices()
      let origins = ["vg0-data", "vg0-wal", "vg1-tbs"]
      kill(victim.broker, signal)
      while origins.contains(where: devices.isSuspended) { usleep(1000) }
      try devices.suspend("vg0-data")
      usleep(700_000)
      let isHeld = devices.isSuspended("vg0-data")
      devices.resume("vg0-data")
      kill(victim.broker, SIGCONT)
      #expect(isHeld, "the guards have resumed what another program had suspended")
      #expect(victim.wait() == 13)
      #expect(try Lab.pgstill("release").status == 0)
      #expect(try Lab.snapshots() == [])
    }

    @Test func aSweepLeavesAloneWhatARunThatIsAtWorkHolds() throws {
      try Lab.cluster()
      let origin = VolumeName(group: "vg0", volume: "data")
      let broker = try BrokerClient.start(
        program: Lab.programPath, owner: try Lab.postgresUser())
      defer { broker.end() }
      _ = try broker.prepare(
        RunID(at: Clock.now()), [SnapshotRequest(origin: origin, size: 32 << 20)],
        folders: [OpenFolder.open(Lab.folder(on: origin))])
      let dead = "/run/pgstill/20200101T000000Z-abcdef"
      try "\(origin)\n".write(toFile: dead, atomically: false, encoding: .utf8)
      let devices = try Devices()
      try devices.suspend(origin.deviceName)
      let release = try Lab.pgstill("release")
      let isHeld = devices.isSuspended(origin.deviceName)
      devices.resume(origin.deviceName)
      #expect(isHeld, "\(release.talk)")
      #expect(try broker.release().left == [])
      #expect(try Lab.pgstill("release").status == 0)
      #expect(!FileManager.default.fileExists(atPath: dead))
    }

    /// What is written to such an origin is copied nowhere: the snapshot shows it at once.
    @Test(arguments: ["before", "after"])
    func anOriginThatNoLongerCopiesMakesTheSetWorthless(moment: String) throws {
      try Lab.cluster()
      let origin = VolumeName(group: "vg0", volume: "data")
      let broker = try BrokerClient.start(
        program: Lab.programPath, owner: try Lab.postgresUser())
      defer { broker.end() }
      _ = try broker.prepare(
        RunID(at: Clock.now()), [SnapshotRequest(origin: origin, size: 32 << 20)],
        folders: [OpenFolder.open(Lab.folder(on: origin))])
      if moment == "after" {
        _ = try broker.freeze(deadline: 5)
        #expect(try broker.fill().map(\.state) == [.valid])
      }
      let table = try Tool.demand("dmsetup", "table", "vg0-data").split(separator: " ")
      let real = try #require(table.last).trimmingCharacters(in: .whitespacesAndNewlines)
      try Tool.demand(
        "dmsetup", "load", "vg0-data", "--table", "0 \(table[1]) linear \(real) 0")
      try Tool.demand("dmsetup", "resume", "vg0-data")
      let failure = #expect(throws: StillError.self) {
        if moment == "after" { _ = try broker.fill() } else { _ = try broker.freeze(deadline: 5) }
      }
      #expect(failure?.status == .volumes)
      #expect(
        failure?.message.contains("origin vg0/data") == true, "\(String(describing: failure))")
      #expect(try broker.release().left == [])
      #expect(try Lab.sql("select 1") == "1")
    }

    @Test func whatAFailedCommandOfLVMsLeavesSuspendedIsLetRun() throws {
      try withDevice { device in
        let devices = try Devices()
        #expect(throws: Trouble.self) {
          try CommandWatch.over([device]) {
            try Tool.demand("dmsetup", "load", device, "--table", "0 8 error")
            try devices.suspend(device)
            throw Trouble("LVM has failed")
          }
        }
        #expect(!devices.isSuspended(device))
        // What had been loaded is dropped.
        try Tool.demand("touch", "/mnt/slow1/after")
      }
    }

    @Test func aResumeThatFailsIsTriedAgainAtOnce() throws {
      try withDevice { device in
        // A table that does not fit under it: the first resume fails, and the kernel drops it.
        let helper = try Background(
          """
          while [ -z "$(dmsetup info -c --noheadings -o name -S 'suspended=Suspended')" ]; do :; done
          dmsetup load \(device) --table '0 65536 linear /dev/mapper/vg1-slow1 65536'
          """)
        // Long before the guards would do it.
        let window = try freeze([device], deadline: 30, restAfter: 3, seconds: 3)
        #expect(helper.wait() == 0)
        #expect(window.outcome == FREEZE_RESUMED_LATE)
        #expect(try Lab.suspendedDevices() == [])
        try Tool.demand("touch", "/mnt/slow1/after")
      }
    }

    @Test func anOriginWhoseResumeBlocksKeepsNoOtherWaiting() throws {
      try withDevices(3) { names in
        let state = "/run/states"
        // Its resume has to write the file system's first block, which waits for the disk.
        let helper = try Background(
          """
          while [ -z "$(dmsetup info -c --noheadings -o name -S 'suspended=Suspended')" ]; do :; done
          dmsetup suspend --nolockfs --noflush vg1-slow2
          sleep 4
          dmsetup info -c --noheadings -o suspended \(names.joined(separator: " ")) >\(state)
          dmsetup resume vg1-slow2
          """)
        let window = try freeze(names, deadline: 2, restAfter: 5, seconds: 3)
        #expect(helper.wait() == 0)
        #expect(window.outcome == FREEZE_GUARD_ACTED)
        let states = try String(contentsOfFile: state, encoding: .utf8).split(separator: "\n")
        #expect(states == ["Active", "Suspended", "Active"])
        #expect(try Lab.suspendedDevices() == [])
        for index in 1...3 { try Tool.demand("touch", "/mnt/slow\(index)/after") }
      }
    }

    /// A device with a file system on it, at `/mnt/slow1`, over a volume that can be made slow.
    private func withDevice(_ body: (String) throws -> Void) throws {
      try withDevices(1) { try body($0[0]) }
    }

    /// Several of them: `slow-top1` over `vg1/slow1` and so on.
    private func withDevices(_ count: Int, _ body: ([String]) throws -> Void) throws {
      try Lab.cluster()
      let sectors = (32 << 20) / 512
      for index in 1...count {
        try Tool.demand("lvcreate", "-qq", "-y", "-L", "32M", "-n", "slow\(index)", "vg1")
        try Tool.demand(
          "dmsetup", "create", "slow-top\(index)", "--table",
          "0 \(sectors) linear /dev/mapper/vg1-slow\(index) 0")
        try Tool.demand("mkfs.ext4", "-q", "/dev/mapper/slow-top\(index)")
        try Tool.demand("mkdir", "-p", "/mnt/slow\(index)")
        try Tool.demand("mount", "/dev/mapper/slow-top\(index)", "/mnt/slow\(index)")
      }
      let outcome = Result { try body((1...count).map { "slow-top\($0)" }) }
      for index in 1...count {
        try Tool.demand("umount", "/mnt/slow\(index)")
        try Tool.demand("dmsetup", "remove", "slow-top\(index)")
        try Tool.demand("lvremove", "-qq", "-y", "vg1/slow\(index)")
      }
      try outcome.get()
    }

    private func freeze(_ device: String, deadline: Double) throws -> freeze_window {
      try freeze([device], deadline: deadline)
    }

    /// The window of these origins and no snapshot.
    ///
    /// - Parameter step: after which it rests (freeze.h, pause_step).
    private func freeze(
      _ devices: [String], deadline: Double, restAfter step: UInt32 = 0, seconds: Double = 0
    ) throws -> freeze_window {
      let control = try OpenFile.open("/dev/mapper/control", .update(permissions: 0o600))
      let window = UnsafeMutablePointer<freeze_window>.allocate(capacity: 1)
      window.initialize(to: freeze_window())
      defer { window.deallocate() }
      window.pointee.control = control.descriptor
      window.pointee.deadline_nanoseconds = Int64(deadline * 1e9)
      window.pointee.pause_step = step
      window.pointee.pause_nanoseconds = Int64(seconds * 1e9)
      for device in devices { #expect(freeze_add_origin(window, device, -1) == 0) }
      Signals.ignoreBrokenPipes()
      withExtendedLifetime(control) { freeze_run(window) }
      return window.pointee
    }
  }
}
