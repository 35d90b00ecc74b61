import Testing

@testable import StillArchive

@Suite struct CompressionTests {
  @Test(arguments: [
    ("zstd", Compression.zstd(level: 1)), ("zstd:19", .zstd(level: 19)),
    ("gzip", .gzip(level: 6)), ("gzip:12", .gzip(level: 12)), ("lz4", .lz4), ("none", .none),
  ]) func isReadFromText(_ text: String, _ expected: Compression) {
    #expect(Compression(text) == expected)
    #expect(Compression(expected.description) == expected)
  }

  @Test(arguments: [
    "", "zstd:", "zstd:0", "zstd:20", "gzip:13", "gzip:fast", "none:1", "lz4:1", "ZSTD", "zstd:1:2",
  ]) func otherTextIsRefused(_ text: String) {
    #expect(Compression(text) == nil)
  }

  @Test func suffixesAreThoseOfThePrograms() {
    #expect(Compression.zstd(level: 3).fileSuffix == ".zst")
    #expect(Compression.gzip(level: 3).fileSuffix == ".gz")
    #expect(Compression.lz4.fileSuffix == ".lz4")
    #expect(Compression.none.fileSuffix == "")
  }
}
