import StillModel
import Testing

@Suite struct ByteCountTests {
  @Test(
    "Sizes are written in binary units with one digit after the point",
    arguments: [
      (0, "0 B"), (1, "1 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"),
      (1_048_575, "1023.9 KiB"), (1 << 20, "1.0 MiB"), (10 << 30, "10.0 GiB"),
      (3 << 39, "1.5 TiB"), (UInt64.max, "16777215.9 TiB"),
    ] as [(UInt64, String)])
  func text(_ bytes: UInt64, _ text: String) {
    #expect(ByteCount.text(bytes) == text)
  }

  @Test(
    "Sizes are read as LVM reads them",
    arguments: [
      ("0", 0), ("512", 512), ("512b", 512), ("64k", 64 << 10), ("64K", 64 << 10),
      ("64KiB", 64 << 10), ("10G", 10 << 30), ("10gib", 10 << 30), ("1.5GiB", 3 << 29),
      ("0.5m", 1 << 19), ("2T", 2 << 40),
    ] as [(String, UInt64)])
  func parse(_ text: String, _ bytes: UInt64) {
    #expect(ByteCount.parse(text) == bytes)
  }

  @Test(
    "What is no size is none",
    arguments: [
      "", "G", "ten", "-1", "1 G", "1.2.3", "1GG", "ib", "1ib", "1e3", "0x10", "nan", "inf", "10Q",
      "99999999999T", ".", "1,5G", "\u{661}G", "10%",
    ])
  func noSize(_ text: String) {
    #expect(ByteCount.parse(text) == nil)
  }
}
