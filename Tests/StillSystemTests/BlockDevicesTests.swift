import StillModel
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

/// What sysfs says of a device, in folders that look like it.
@Suite struct BlockDevicesTests {
  private let folder: TestFolder
  private let device = DeviceNumber(major: 253, minor: 7)

  init() throws { folder = try TestFolder(on: .disk) }

  private func write(_ text: String, _ name: String) throws {
    let path = folder.path.pushing(FilePath("dev/block/\(device)/\(name)"))
    try Tool.demand("mkdir", "-p", path.removingLastComponent().string)
    let file = try OpenFile.open(path, .create(permissions: 0o644))
    try file.writeAll(Array(text.utf8))
    try file.close()
  }

  private var carrier: BlockDevices.Carrier { BlockDevices.carrier(of: device, sysfs: folder.path) }

  private var words: String? { if case .other(let text) = carrier { text } else { nil } }

  @Test("A logical volume is known by LVM's UUID and the kernel's name")
  func logicalVolume() throws {
    try write("vg--a-data--1\n", "dm/name")
    try write("LVM-" + String(repeating: "x", count: 64) + "\n", "dm/uuid")
    #expect(carrier == .logicalVolume(VolumeName(group: "vg-a", volume: "data-1")))
  }

  @Test("What was written to a device is the seventh number of its statistics, in sectors")
  func written() throws {
    #expect(BlockDevices.bytesWritten(to: device, sysfs: folder.path) == nil)
    try write("     212        0     4978        0     5293        0   158120     7870\n", "stat")
    #expect(BlockDevices.bytesWritten(to: device, sysfs: folder.path) == 158120 * 512)
    try write("1 2 3 4 5 6 x 8\n", "stat2")
    try Tool.demand(
      "mv", folder.path.pushing(FilePath("dev/block/\(device)/stat2")).string,
      folder.path.pushing(FilePath("dev/block/\(device)/stat")).string)
    #expect(BlockDevices.bytesWritten(to: device, sysfs: folder.path) == nil)
  }

  @Test("A hidden layer of a logical volume is none")
  func hidden() throws {
    try write("vg0-data-real\n", "dm/name")
    try write("LVM-" + String(repeating: "x", count: 64) + "-real\n", "dm/uuid")
    #expect(words?.contains("/dev/mapper/vg0-data-real") == true)
  }

  @Test("An encrypted layer is called by its name")
  func encrypted() throws {
    try write("luks-home\n", "dm/name")
    try write("CRYPT-LUKS2-0123-luks-home\n", "dm/uuid")
    #expect(words?.contains("encrypted") == true)
    #expect(words?.contains("/dev/mapper/luks-home") == true)
  }

  @Test("Another layer is called by its kind")
  func multipath() throws {
    try write("mpatha\n", "dm/name")
    try write("mpath-360000\n", "dm/uuid")
    #expect(words?.contains("(mpath)") == true)
  }

  @Test("A layer over logical volumes names both", arguments: ["crypt", "md"])
  func layers(_ kind: String) throws {
    if kind == "md" {
      try write("raid1\n", "md/level")
    } else {
      try write("luks-home\n", "dm/name")
      try write("CRYPT-LUKS2-0123-luks-home\n", "dm/uuid")
    }
    for (slave, name) in [("dm-3", "vg0-home--one"), ("dm-4", "vg0-two")] {
      try write("\(name)\n", "slaves/\(slave)/dm/name")
      try write("LVM-" + String(repeating: "x", count: 64) + "\n", "slaves/\(slave)/dm/uuid")
    }
    #expect(words?.contains("lies between the file system and vg0/home-one, vg0/two") == true)
    #expect(words?.contains(kind == "md" ? "a software RAID layer" : "encrypted") == true)
  }

  @Test("A partition, a RAID and a disk say what they are")
  func others() throws {
    #expect(words == "it is not on a block device")
    try write("1024\n", "size")
    #expect(words == "it is a disk, not a logical volume")
    try write("raid1\n", "md/level")
    #expect(words?.contains("RAID") == true)
    try write("3\n", "partition")
    #expect(words?.contains("partition 3") == true)
  }

  @Test(
    "The kernel's name doubles each hyphen, and is read back",
    arguments: [
      ("vg0/data", "vg0-data"), ("vg-0/data", "vg--0-data"), ("vg0/da-ta", "vg0-da--ta"),
      ("a-/b", "a---b"), ("a-b-c/d-e", "a--b--c-d--e"),
    ])
  func deviceNames(_ text: String, _ device: String) throws {
    let name = try #require(VolumeName(text))
    #expect(name.deviceName == device)
    #expect(VolumeName(deviceName: device) == name)
  }

  @Test(
    "What is no name of a volume is none",
    arguments: ["", "vg0", "-", "vg0-", "-data", "vg0-a-b", "vg0--data"])
  func noDeviceName(_ text: String) {
    #expect(VolumeName(deviceName: text) == nil)
  }
}
