import StillModel
import Testing

@Suite struct SnapshotSizeTests {
  private func volume(_ size: UInt64, extent: UInt64 = 4 << 20) -> VolumeFacts {
    VolumeFacts(
      name: VolumeName(group: "vg0", volume: "data"), size: size, kind: "linear",
      groupFree: 0, extentSize: extent, obstacle: nil)
  }

  @Test("It is a size or a share of the origin")
  func read() {
    #expect(SnapshotSize("10G") == .bytes(10 << 30))
    #expect(SnapshotSize("15%") == .percentOfOrigin(15))
    #expect(SnapshotSize("110%") == .percentOfOrigin(110))
    #expect(SnapshotSize("1") == .bytes(1))
  }

  @Test(
    "Anything else is refused",
    arguments: ["", "%", "0", "0%", "111%", "-5%", "1.5%", "ten", "10 %", "10G%", "-1G"])
  func noSize(_ text: String) {
    #expect(SnapshotSize(text) == nil)
  }

  @Test("A share is rounded up to whole extents")
  func extents() {
    // 20 % of 10 GiB are 2048 MiB.
    #expect(SnapshotSize.percentOfOrigin(20).resolved(for: volume(10 << 30)) == 2048 << 20)
    #expect(SnapshotSize.bytes((100 << 20) + 1).resolved(for: volume(10 << 30)) == 104 << 20)
    #expect(SnapshotSize.bytes(1).resolved(for: volume(10 << 30)) == 4 << 20)
    #expect(
      SnapshotSize.bytes(100 << 20).resolved(for: volume(10 << 30, extent: 32 << 20)) == 128 << 20)
  }

  @Test("A share of a small origin is not less than the least")
  func least() {
    #expect(SnapshotSize.percentOfOrigin(1).resolved(for: volume(1 << 30)) == 64 << 20)
  }

  @Test("No store is larger than one that holds every chunk of its origin")
  func most() {
    let size = SnapshotSize.bytes(1 << 40).resolved(for: volume(1 << 30))
    #expect(size > 1 << 30)
    #expect(size < (1 << 30) + (16 << 20))
    #expect(SnapshotSize.percentOfOrigin(110).resolved(for: volume(1 << 30)) == size)
    #expect(SnapshotSize.percentOfOrigin(20).resolved(for: volume(20 << 20)) == 24 << 20)
  }

  @Test("A group that does not say its extents counts in bytes")
  func noExtents() {
    #expect(SnapshotSize.bytes(12345).resolved(for: volume(1 << 30, extent: 0)) == 12345)
  }

  @Test("It reads as people write it")
  func text() {
    #expect(SnapshotSize.standard.description == "20% of the origin")
    #expect(SnapshotSize.bytes(10 << 30).description == "10.0 GiB")
  }
}
