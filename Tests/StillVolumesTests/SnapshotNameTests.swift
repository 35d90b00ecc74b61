import StillModel
import StillSystem
import Testing

@testable import StillVolumes

@Suite struct SnapshotNameTests {
  private let run = RunID("20261121T020000Z-1a2b3c")

  private func name(_ text: String) throws -> VolumeName {
    let origin = try #require(VolumeName(text))
    return SnapshotName.name(of: origin, run: try #require(run))
  }

  @Test("A snapshot carries the name of its origin and of its run")
  func form() throws {
    #expect(try name("vg0/data").description == "vg0/data_still_20261121T020000Z-1a2b3c")
  }

  @Test(
    "The kernel's name of its store always fits, however long the origin's",
    arguments: [
      "vg0/" + String(repeating: "a", count: 110), "vg0/" + String(repeating: "a-", count: 50),
      String(repeating: "v", count: 40) + "/" + String(repeating: "a", count: 60),
    ])
  func fits(_ text: String) throws {
    let name = try name(text)
    #expect((name.deviceName + "-cow").utf8.count <= 127)
    #expect(name.volume.hasSuffix("_still_20261121T020000Z-1a2b3c"))
    #expect(VolumeName(name.description) == name)
  }
}
