import StillModel
import StillSystem
import SystemPackage
import Testing

@testable import StillArchive

/// Archives that were cut short or changed.
@Suite struct DamageTests {
  private static func sample(_ compression: Compression) throws -> [UInt8] {
    try makeArchive(compression) { writer in
      try writer.add(TarMember(path: "folder", kind: .folder, mode: 0o700))
      _ = try writer.add(plainFile("folder/one"), content: sampleBytes(5000))
      var long = plainFile(FilePath(String(repeating: "l", count: 300)))
      long.modifiedNanoseconds = 5
      _ = try writer.add(long, content: sampleBytes(3000, seed: 2))
      try writer.add(TarMember(path: "link", kind: .link(target: [65]), mode: 0o777))
      _ = try writer.add(plainFile("last"), content: sampleBytes(512, seed: 3))
    }
  }

  @Test(arguments: RoundTripTests.compressions) func everyTruncationIsFound(
    _ compression: Compression
  ) throws {
    let archive = try DamageTests.sample(compression)
    #expect(try entries(of: archive).count == 5)
    // The first and last bytes, every block's edge, and many between.
    let cuts = Set(
      Array(0..<20) + (archive.count - 20..<archive.count)
        + stride(from: 0, to: archive.count, by: 97)
        + stride(from: 0, to: archive.count, by: 512))
    for cut in cuts.sorted() {
      let error = #expect(throws: StillError.self, "\(cut)") {
        _ = try entries(of: Array(archive[..<cut]))
      }
      #expect(error?.status == .copying)
      #expect(error?.message.contains("is damaged") == true)
    }
  }

  @Test(arguments: RoundTripTests.compressions) func aChangedByteIsFoundOrChangesNothing(
    _ compression: Compression
  ) throws {
    let archive = try DamageTests.sample(compression)
    let truth = try entries(of: archive)
    for position in stride(from: 0, to: archive.count, by: compression == .none ? 23 : 5) {
      var changed = archive
      changed[position] ^= 0x10
      guard let found = try? entries(of: changed) else { continue }
      // Content in a plain archive is for the manifest to check, and its extended headers have no
      // sum; everything else is seen right here.
      if compression == .none {
        #expect(found.count == truth.count, "\(position)")
      } else {
        #expect(found == truth, "\(position)")
      }
    }
  }

  @Test func theErrorNamesArchiveAndLastWholeMember() throws {
    let temporary = try TemporaryFolder()
    let archive = try DamageTests.sample(.zstd(level: 1))
    try temporary.write(Array(archive.dropLast(100)), to: "base.tar.zst")
    let error = #expect(throws: StillError.self) {
      try TarReader(try temporary.file("base.tar.zst"), workers: 2).read(into: CollectingSink())
    }
    #expect(error?.message.contains("/base.tar.zst is damaged") == true)
    #expect(error?.message.contains("the last whole member is folder/one") == true)
    #expect(error?.hint != nil)
  }

  @Test func whatFollowsTheEndIsFound() throws {
    let plain = try DamageTests.sample(.none)
    // Zeros may follow: tar fills up its records with them.
    _ = try entries(of: plain + [UInt8](repeating: 0, count: 5000))
    #expect(throws: StillError.self) { _ = try entries(of: plain + [1]) }
    #expect(throws: StillError.self) { _ = try entries(of: plain + plain) }
    for compression in [Compression.zstd(level: 1), .gzip(level: 1)] {
      let archive = try DamageTests.sample(compression)
      #expect(throws: StillError.self) { _ = try entries(of: archive + Array("garbage".utf8)) }
      #expect(throws: StillError.self) { _ = try entries(of: archive + archive) }
    }
  }

  @Test func aLostFrameInTheMiddleIsFound() throws {
    // 4096 bytes of the stream are gone, and every frame that is left is whole.
    let plain = try DamageTests.sample(.none)
    let lost = Array(plain[..<4096] + plain[8192...])
    let archive = try makeArchive(.none) { _ in }
    #expect(archive.count == 1024)
    #expect(throws: StillError.self) { _ = try entries(of: lost) }
  }
}
