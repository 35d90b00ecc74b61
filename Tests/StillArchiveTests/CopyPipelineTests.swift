import StillModel
import StillSystem
import SystemPackage
import Testing

@testable import StillArchive

@Suite struct CopyPipelineTests {
  static func compress(
    _ content: [UInt8], _ compression: Compression, workers: Int, blockSize: Int = 64 << 10
  ) throws -> [UInt8] {
    let temporary = try TemporaryFolder()
    let pipeline = try CopyPipeline(
      output: try temporary.file("out", .create(permissions: 0o600)), compression: compression,
      workers: workers, blockSize: blockSize)
    // In pieces that do not fit the blocks.
    var rest = content[...]
    while !rest.isEmpty {
      try rest.prefix(10_007).withUnsafeBytes { try pipeline.append($0) }
      rest = rest.dropFirst(10_007)
    }
    #expect(try pipeline.finish().bytes == UInt64(try temporary.read("out").count))
    return try temporary.read("out")
  }

  @Test(arguments: RoundTripTests.compressions) func bytesDoNotDependOnWorkers(
    _ compression: Compression
  ) throws {
    let content = sampleBytes(1_000_000)
    let one = try CopyPipelineTests.compress(content, compression, workers: 1)
    #expect(try CopyPipelineTests.compress(content, compression, workers: 4) == one)
    #expect(try CopyPipelineTests.compress(content, compression, workers: 4) == one)
  }

  @Test(arguments: [("zstd", Compression.zstd(level: 3)), ("gzip", .gzip(level: 9)), ("lz4", .lz4)])
  func programsUndoIt(_ program: String, _ compression: Compression) throws {
    let temporary = try TemporaryFolder()
    let content = sampleBytes(300_000)
    let name = "file" + compression.fileSuffix
    try temporary.write(try CopyPipelineTests.compress(content, compression, workers: 2), to: name)
    try Program.run(program, "-t", name, in: temporary.path)
    #expect(try Program.run(program, "-dc", name, in: temporary.path) == content)
  }

  @Test func anEmptyStreamIsAnEmptyFile() throws {
    #expect(try CopyPipelineTests.compress([], .zstd(level: 1), workers: 2).isEmpty)
  }

  @Test(arguments: RoundTripTests.compressions) func aFullDiskIsWhatIsThrown(
    _ compression: Compression
  ) throws {
    let pipeline = try CopyPipeline(
      output: try OpenFile.open("/dev/full", .update(permissions: 0o600)),
      compression: compression, workers: 3, blockSize: 4096)
    let content = sampleBytes(4096)
    // More than all blocks together, so that waiting for one has to end too.
    let error = #expect(throws: StillError.self) {
      for _ in 0..<1000 { try content.withUnsafeBytes { try pipeline.append($0) } }
      _ = try pipeline.finish()
    }
    #expect(error?.message == "cannot write /dev/full: No space left on device")
    #expect(error?.hint != nil)
  }

  @Test func aFullDiskAtTheEndIsThrownByFinish() throws {
    let pipeline = try CopyPipeline(
      output: try OpenFile.open("/dev/full", .update(permissions: 0o600)), compression: .none,
      workers: 1)
    try [1, 2, 3].withUnsafeBytes { try pipeline.append($0) }
    #expect(throws: StillError.self) { _ = try pipeline.finish() }
  }

  /// The writer may give a block back, and another file get it, while its worker still has it in hand.
  @Test func aBlockIsNotUsedAgainWhileAWorkerHasIt() throws {
    let temporary = try TemporaryFolder()
    let small = sampleBytes(3584)
    let large = sampleBytes(200_000)
    try temporary.write(small, to: "small")
    try temporary.write(large, to: "large")
    let pipeline = try CopyPipeline(
      output: try temporary.file("out", .create(permissions: 0o600)), compression: .lz4,
      workers: 16, checksum: .crc32c, blockSize: 4096)
    let header = [UInt8](repeating: 0, count: 512)
    var copied: [CopiedFile] = []
    for number in 0..<4000 {
      try header.withUnsafeBytes { try pipeline.append($0) }
      let isLarge = number % 10 == 9
      let file = CopiedFile(
        try temporary.file(isLarge ? "large" : "small"), size: isLarge ? 200_000 : 3584,
        ifChanged: .refuse, checksum: .crc32c, isReadOnce: false, nil)
      try pipeline.append(file) { _ in }
      // So that the next begins a block.
      if isLarge {
        try [UInt8](repeating: 0, count: 4096 - (512 + 200_000) % 4096).withUnsafeBytes {
          try pipeline.append($0)
        }
      }
      copied.append(file)
    }
    _ = try pipeline.finish()
    let checksums = Checksums()
    for content in [small, large] {
      let sum = try content.withUnsafeBytes { try checksums.of($0, .crc32c) }
      let found = copied.filter { $0.size == UInt64(content.count) }.map(\.outcome?.checksum)
      #expect(Set(found) == [sum])
    }
  }

  @Test func cancellingEndsIt() throws {
    let temporary = try TemporaryFolder()
    let cancellation = Cancellation()
    let pipeline = try CopyPipeline(
      output: try temporary.file("out", .create(permissions: 0o600)),
      compression: .zstd(level: 1), workers: 2, blockSize: 4096, cancellation: cancellation)
    let reason = StillError(.overflow, "the snapshot overflowed")
    let content = sampleBytes(10_000)
    try content.withUnsafeBytes { try pipeline.append($0) }
    cancellation.cancel(reason)
    cancellation.cancel(StillError(.failed, "too late"))
    let error = #expect(throws: StillError.self) {
      try content.withUnsafeBytes { try pipeline.append($0) }
    }
    #expect(error == reason)
  }

  @Test func aPipelineThatIsDroppedEnds() throws {
    let temporary = try TemporaryFolder()
    let content = sampleBytes(100_000)
    for round in 0..<20 {
      let pipeline = try CopyPipeline(
        output: try temporary.file("\(round)", .create(permissions: 0o600)),
        compression: .gzip(level: 1), workers: 4, blockSize: 4096)
      try content.withUnsafeBytes { try pipeline.append($0) }
    }
  }
}
