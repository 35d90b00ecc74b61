import CFreeze
import Foundation
import StillModel
import StillSystem
import StillTestSupport
import StillVolumes
import SystemPackage
import Testing

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
        try Tool.demand("dd", "if=/dev/zero", "of=/mnt/slow/dirty", "bs=1M", "count=8")
        try Tool.demand("dmsetup", "suspend", "--nolockfs", "--noflush", "vg1-slow")
        let helper = try Background("sleep 3; dmsetup resume vg1-slow")
        // The guard acts while the suspend waits for the disk, and the suspend succeeds after that.
        let window = try freeze(device, deadline: 1)
        _ = helper.wait()
        #expect(window.outcome == FREEZE_GUARD_ACTED)
        #expect(try Lab.suspendedDevices() == [])
        try Tool.demand("touch", "/mnt/slow/after")
      }
    }

    /// A device with a file system on it, over a volume that can be made slow.
    private func withDevice(_ body: (String) throws -> Void) throws {
      try Lab.cluster()
      try Tool.demand("lvcreate", "-qq", "-y", "-L", "64M", "-n", "slow", "vg1")
      let sectors = (64 << 20) / 512
      try Tool.demand(
        "dmsetup", "create", "slow-top", "--table", "0 \(sectors) linear /dev/mapper/vg1-slow 0")
      try Tool.demand("mkfs.ext4", "-q", "/dev/mapper/slow-top")
      try Tool.demand("mkdir", "-p", "/mnt/slow")
      try Tool.demand("mount", "/dev/mapper/slow-top", "/mnt/slow")
      let outcome = Result { try body("slow-top") }
      try Tool.demand("umount", "/mnt/slow")
      try Tool.demand("dmsetup", "remove", "slow-top")
      try Tool.demand("lvremove", "-qq", "-y", "vg1/slow")
      try outcome.get()
    }

    /// The window of one origin and no snapshot.
    private func freeze(_ device: String, deadline: Double) throws -> freeze_window {
      let control = try OpenFile.open("/dev/mapper/control", .update(permissions: 0o600))
      let window = UnsafeMutablePointer<freeze_window>.allocate(capacity: 1)
      window.initialize(to: freeze_window())
      defer { window.deallocate() }
      window.pointee.control = control.descriptor
      window.pointee.deadline_nanoseconds = Int64(deadline * 1e9)
      #expect(freeze_add_origin(window, device, -1) == 0)
      Signals.ignoreBrokenPipes()
      freeze_run(window)
      return window.pointee
    }
  }
}
