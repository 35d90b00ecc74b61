import StillModel
import Testing

@Suite struct SnapshotSizeTests {
  private func basis(
    _ size: UInt64, extent: UInt64 = 4 << 20, used: UInt64 = 0, free: UInt64 = 1 << 40,
    peaks: [UInt64] = [], overflowed: [UInt64] = []
  ) -> SizingBasis {
    SizingBasis(
      volume: VolumeFacts(
        name: VolumeName(group: "vg0", volume: "data"), size: size, groupFree: free,
        extentSize: extent, obstacle: nil),
      used: used, freeShare: free, peaks: peaks, overflowed: overflowed)
  }

  private func size(_ wanted: SnapshotSize, _ basis: SizingBasis) -> UInt64 {
    wanted.resolved(for: basis).size
  }

  @Test("It is a size or a share of the origin, of what is free, of what is used")
  func read() {
    #expect(SnapshotSize("10G") == .bytes(10 << 30))
    #expect(SnapshotSize("15%") == .percentOfOrigin(15))
    #expect(SnapshotSize("110%ORIGIN") == .percentOfOrigin(110))
    #expect(SnapshotSize("100%FREE") == .percentOfFree(100))
    #expect(SnapshotSize("30%used") == .percentOfUsed(30))
    #expect(SnapshotSize("auto") == .automatic)
    #expect(SnapshotSize("1") == .bytes(1))
  }

  @Test(
    "Anything else is refused",
    arguments: [
      "", "%", "0", "0%", "111%", "111%ORIGIN", "101%FREE", "201%USED", "5%VG", "-5%", "1.5%",
      "ten",
      "10 %", "10G%", "-1G",
    ])
  func noSize(_ text: String) {
    #expect(SnapshotSize(text) == nil)
  }

  @Test("A share is rounded up to whole extents")
  func extents() {
    // 20 % of 10 GiB are 2048 MiB.
    #expect(size(.percentOfOrigin(20), basis(10 << 30)) == 2048 << 20)
    #expect(size(.bytes((100 << 20) + 1), basis(10 << 30)) == 104 << 20)
    #expect(size(.bytes(1), basis(10 << 30)) == 4 << 20)
    #expect(size(.bytes(100 << 20), basis(10 << 30, extent: 32 << 20)) == 128 << 20)
  }

  @Test("Shares count from the room that falls to the origin, and from what its files take")
  func shares() {
    #expect(size(.percentOfFree(50), basis(10 << 30, free: 4 << 30)) == 2048 << 20)
    #expect(size(.percentOfUsed(30), basis(10 << 30, used: 5 << 30)) == 1536 << 20)
  }

  @Test("A share of a small origin is not less than the least")
  func least() {
    #expect(size(.percentOfOrigin(1), basis(1 << 30)) == 64 << 20)
    #expect(size(.percentOfUsed(1), basis(1 << 30)) == 64 << 20)
    #expect(size(.percentOfFree(1), basis(1 << 30, free: 1 << 30)) == 64 << 20)
  }

  @Test("No store is larger than one that holds every chunk of its origin")
  func most() {
    let most = size(.bytes(1 << 40), basis(1 << 30))
    #expect(most > 1 << 30)
    #expect(most < (1 << 30) + (16 << 20))
    #expect(size(.percentOfOrigin(110), basis(1 << 30)) == most)
    #expect(size(.percentOfOrigin(20), basis(20 << 20)) == 24 << 20)
    #expect(size(.automatic, basis(1 << 30, peaks: [1 << 40, 1, 1])) == most)
  }

  @Test("The largest number there is stays one of whole extents")
  func largest() {
    let volume = VolumeFacts(
      name: VolumeName(group: "vg0", volume: "data"), size: 1 << 30, groupFree: 1 << 30,
      extentSize: 4 << 20, obstacle: nil)
    #expect(SizingBasis.wholeExtents(.max, of: volume) == UInt64.max / (4 << 20) * (4 << 20))
  }

  @Test("A group that does not say its extents counts in bytes")
  func noExtents() {
    #expect(size(.bytes(12345), basis(1 << 30, extent: 0)) == 12345)
  }

  @Test("Of itself it is a fifth of the origin, until three nights say what is needed")
  func automatic() {
    let young = SnapshotSize.automatic.resolved(
      for: basis(10 << 30, peaks: [5 << 30, 1 << 30]))
    #expect(young.size == 2048 << 20)
    #expect(young.reason == "20% of the origin, until 3 backups have left their fill history")
    let old = SnapshotSize.automatic.resolved(
      for: basis(10 << 30, peaks: [1 << 30, 3 << 29, 1 << 28]))
    #expect(old.size == 3 << 30)
    #expect(old.reason == "twice the 1.5 GiB that the last 3 backups needed at most")
  }

  @Test("One that overflowed needed at least twice what it had, and no night is refused for that")
  func overflowed() {
    func sized(_ peaks: [UInt64], _ overflowed: [UInt64], free: UInt64 = 1 << 40) -> SizedSnapshot {
      SnapshotSize.automatic.resolved(
        for: basis(10 << 30, free: free, peaks: peaks, overflowed: overflowed))
    }
    let first = sized([], [2 << 30])
    #expect(first.size == 8 << 30)
    #expect(
      first.reason == "twice the 4.0 GiB that a backup needed at least, for 2.0 GiB overflowed")
    // It says what was too little, and not what is enough: that takes three nights.
    #expect(sized([1 << 20, 1 << 20], [64 << 20]).size == 2 << 30)
    #expect(sized([1 << 20, 1 << 20, 1 << 20], [64 << 20]).size == 256 << 20)
    #expect(sized([1 << 30, 1 << 29, 1 << 29], [1 << 30]).size == 4 << 30)
    // What would have been taken without it is there.
    let less = sized([], [2 << 30], free: 3 << 30)
    #expect(less.size == 3 << 30)
    #expect(less.reason.hasSuffix("overflowed; less, for the group has no more"))
    #expect(sized([], [2 << 30], free: 1 << 30).size == 1 << 30)
    #expect(sized([], [], free: 1 << 30).size == 1 << 30)
  }

  @Test("Where the group has less it takes that, but not less than half of what it wants")
  func shrinks() {
    let less = SnapshotSize.automatic.resolved(for: basis(10 << 30, free: (1536 << 20) + 1))
    #expect(less.size == 1536 << 20)
    #expect(less.reason.hasSuffix("; less, for the group has no more"))
    #expect(size(.automatic, basis(10 << 30, free: 1 << 29)) == 2048 << 20)
    // Nobody shrinks what was asked for.
    #expect(size(.percentOfOrigin(20), basis(10 << 30, free: 1536 << 20)) == 2048 << 20)
  }

  @Test("It reads as people write it")
  func text() {
    #expect(SnapshotSize.percentOfOrigin(20).description == "20% of the origin")
    #expect(SnapshotSize.bytes(10 << 30).description == "10.0 GiB")
  }
}
