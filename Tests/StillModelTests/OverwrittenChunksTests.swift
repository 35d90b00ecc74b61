import StillModel
import Testing

@Suite struct OverwrittenChunksTests {
  @Test("Numbers in any order, and twice, make ranges that are apart")
  func ranges() {
    let chunks = OverwrittenChunks(chunkSize: 4096, numbers: [7, 3, 4, 9, 3, 5])
    #expect(chunks.ranges == [3..<6, 7..<8, 9..<10])
    #expect(chunks.count == 5)
  }

  @Test("Bytes are touched where one of them lies in a chunk, and nowhere else")
  func touch() {
    let chunks = OverwrittenChunks(chunkSize: 4096, numbers: [3, 4, 9])
    let first: UInt64 = 3 * 4096
    let end: UInt64 = 5 * 4096
    #expect(!chunks.touch(0..<first))
    #expect(chunks.touch(0..<first + 1))
    #expect(chunks.touch(end - 1..<end))
    #expect(!chunks.touch(end..<9 * 4096))
    #expect(chunks.touch(end..<9 * 4096 + 1))
    #expect(!chunks.touch(10 * 4096..<1 << 40))
    #expect(!chunks.touch(first..<first), "of no bytes none is")
    #expect(chunks.touch(0..<1 << 40))
  }

  @Test("What is added in parts is the same as all at once")
  func adding() {
    var generator = SystemRandomNumberGenerator()
    for _ in 0..<200 {
      let numbers = (0..<60).map { _ in UInt64.random(in: 0..<80, using: &generator) }
      var parts = OverwrittenChunks(chunkSize: 4096, ranges: [])
      for part in stride(from: 0, to: 60, by: 7) {
        parts = parts.adding(numbers[part..<min(part + 7, 60)])
      }
      #expect(parts == OverwrittenChunks(chunkSize: 4096, numbers: numbers))
    }
    #expect(OverwrittenChunks(chunkSize: 4096, numbers: [1]).adding([]).ranges == [1..<2])
  }
}
