import StillModel
import Testing

@Suite struct VolumeNameTests {
  @Test("A volume is its group and its own name")
  func read() throws {
    let name = try #require(VolumeName("vg0/data"))
    #expect(name.group == "vg0")
    #expect(name.volume == "data")
    #expect(name.description == "vg0/data")
    #expect(VolumeName("VG_1.a+b/data-2")?.volume == "data-2")
    #expect(VolumeName("v/" + String(repeating: "a", count: 127)) != nil)
  }

  @Test(
    "What LVM does not allow never becomes a name",
    arguments: [
      "", "/", "data", "vg0/", "/data", "vg0//data", "vg0/data/x", "/dev/vg0/data", "vg0/-data",
      "-vg0/data", "vg0/.", "../data", "vg0/..", "vg0/da ta", "vg0/data;reboot", "vg0/data\n",
      "vg0/\"data\"", "vg0/d\u{E4}ta", "vg0/data@tag", "vg0/#", "vg0/$x", "vg0/a*",
      "v/" + String(repeating: "a", count: 128),
    ])
  func noName(_ text: String) {
    #expect(VolumeName(text) == nil)
  }

  @Test("Volumes sort by group, then by name")
  func order() {
    let sorted = ["vg0/z", "vg1/a", "vg1/b"].compactMap { VolumeName($0) }
    #expect(sorted.reversed().sorted() == sorted)
  }

  @Test("A device's number is read as it is written")
  func device() {
    #expect(DeviceNumber("254:0") == DeviceNumber(major: 254, minor: 0))
    #expect(DeviceNumber("254:0")?.description == "254:0")
    for text in ["", ":", "254", "254:", "a:b", "1:2:3", "-1:0"] {
      #expect(DeviceNumber(text) == nil)
    }
  }
}
