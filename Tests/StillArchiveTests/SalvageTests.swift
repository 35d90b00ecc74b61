import StillModel
import StillSystem
import SystemPackage
import Testing

@testable import StillArchive

/// Verifying goes on behind what is damaged: exactly the files that are lost are named.
@Suite struct SalvageTests {
  private static let frameSize = 4096

  /// A file of the archive, and where header and content are in the uncompressed stream.
  private struct Placed {
    var path: FilePath
    var content: [UInt8]
    var header: Int
    var range: Range<Int> { header + 512..<header + 512 + content.count }
  }

  private static let files: [Placed] = {
    var place = 0
    return [20_000, 0, 100, 3000, 4096, 0, 512, 9000, 1, 30_000, 700, 700, 700, 5000].enumerated()
      .map { index, size in
        let file = Placed(
          path: FilePath("base/5/\(16384 + index)"),
          content: sampleBytes(size, seed: UInt64(index)),
          header: place)
        place += 512 + size + TarFormat.padding(UInt64(size))
        return file
      }
  }()

  private static func archive(_ compression: Compression) throws -> [UInt8] {
    try makeArchive(compression, blockSize: frameSize) { writer in
      for file in files { _ = try writer.add(plainFile(file.path), content: file.content) }
    }
  }

  private static func manifest() throws -> BackupManifest {
    let files = try files.map { file in
      let sum = try RunningChecksum(.sha256)
      file.content.withUnsafeBytes { sum.update($0) }
      return ManifestFile(
        path: file.path, size: UInt64(file.content.count),
        modified: CalendarTime(secondsSince1970: 0), checksum: sum.finish())
    }
    return BackupManifest(systemIdentifier: nil, files: files, walRanges: [])
  }

  private func findings(_ archive: [UInt8]) throws -> VerifyFindings {
    let temporary = try TemporaryFolder()
    try temporary.write(archive, to: "base.tar")
    return try verify(
      archive: try temporary.file("base.tar"),
      against: ExpectedFiles(try SalvageTests.manifest(), in: .base(tablespaces: [])), workers: 3)
  }

  /// Where the frames are in a compressed archive.
  private func frames(_ archive: [UInt8], _ packing: Packing) throws -> [Frame] {
    let temporary = try TemporaryFolder()
    try temporary.write(archive, to: "a")
    let file = try temporary.file("a")
    if packing == .zstd { return try #require(try SeekTable.read(file, largest: 1 << 20)) }
    let chain = try FrameChain(file, packing, largest: 1 << 20)
    var frames: [Frame] = []
    var offset: UInt64 = 0
    while let frame = try chain.frame(at: offset) {
      frames.append(frame)
      offset += UInt64(frame.compressed)
    }
    return frames
  }

  /// That the files are judged as those are of which these bytes of the stream are lost.
  private func expect(
    _ found: VerifyFindings, lost: Range<Int>, _ comment: String,
    at place: SourceLocation = #_sourceLocation
  ) {
    let files = SalvageTests.files
    let unread = files.filter { ($0.header..<$0.header + 512).overlaps(lost) }.map(\.path)
    let bad = files.filter { !unread.contains($0.path) && $0.range.overlaps(lost) }
    #expect(Set(found.unread) == Set(unread), "\(comment)", sourceLocation: place)
    #expect(found.bad.map(\.path) == bad.map(\.path), "\(comment)", sourceLocation: place)
    for (fault, file) in zip(found.bad.map(\.fault), bad) {
      let part = file.range.clamped(to: lost)
      let words =
        "bytes \(part.lowerBound - file.range.lowerBound) to "
        + "\(part.upperBound - 1 - file.range.lowerBound) cannot be decompressed: "
      #expect(fault.hasPrefix(words), "\(comment) \(fault)", sourceLocation: place)
    }
    #expect(
      Int(found.goodFiles) == files.count - unread.count - bad.count, "\(comment)",
      sourceLocation: place)
    #expect(found.missing.isEmpty && found.extra.isEmpty, "\(comment)", sourceLocation: place)
  }

  @Test(arguments: [
    (Compression.zstd(level: 1), Packing.zstd), (.gzip(level: 1), .gzip), (.lz4, .lz4),
  ])
  func aDamagedFrameCostsWhatIsInIt(_ compression: Compression, _ packing: Packing) throws {
    let archive = try SalvageTests.archive(compression)
    let frames = try frames(archive, packing)
    try #require(frames.count > 15)
    for (index, frame) in frames.enumerated() {
      let start = index * SalvageTests.frameSize
      let lost = start..<start + frame.size
      // In the middle of it, and in its checksum.
      for offset in [frame.compressed / 2, frame.compressed - (packing == .gzip ? 8 : 1)] {
        var changed = archive
        changed[Int(frame.offset) + offset] ^= 0x15
        let found = try findings(changed)
        expect(found, lost: lost, "frame \(index)")
        #expect(!found.isClean)
        if index == frames.count - 1 { #expect(!found.damage.isEmpty) }
      }
    }
  }

  /// Whatever it is that is wrong with a frame's header, the next ones are found.
  @Test(arguments: [(Compression.gzip(level: 1), Packing.gzip), (.lz4, .lz4)])
  func aDamagedHeaderCostsOneFrameAtMost(_ compression: Compression, _ packing: Packing) throws {
    let archive = try SalvageTests.archive(compression)
    let frames = try frames(archive, packing)
    for index in [1, 7] {
      let start = index * SalvageTests.frameSize
      let touched = SalvageTests.files.filter {
        ($0.header..<$0.range.upperBound).overlaps(start..<start + SalvageTests.frameSize)
      }.map(\.path)
      for offset in Array(0..<20) + [frames[index].compressed - 4, frames[index].compressed - 1] {
        var changed = archive
        changed[Int(frames[index].offset) + offset] ^= 0x08
        let found = try findings(changed)
        let named = Set(found.unread + found.bad.map(\.path))
        #expect(named.isSubset(of: touched), "frame \(index) byte \(offset): \(found)")
        #expect(
          Int(found.goodFiles) + named.count == SalvageTests.files.count,
          "frame \(index) byte \(offset): \(found)")
      }
    }
  }

  /// An index that is wrong says nothing of the data.
  @Test func aDamagedIndexCostsNothing() throws {
    let archive = try SalvageTests.archive(.zstd(level: 1))
    let end = try #require(try frames(archive, .zstd).last)
    for offset in Int(end.offset) + end.compressed..<archive.count {
      var changed = archive
      changed[offset] ^= 0x04
      let found = try findings(changed)
      #expect(Int(found.goodFiles) == SalvageTests.files.count, "\(offset): \(found)")
    }
  }

  @Test func severalDamagedFramesCostWhatIsInThem() throws {
    var archive = try SalvageTests.archive(.zstd(level: 1))
    let frames = try frames(archive, .zstd)
    for index in [1, 2, 3, 7, 12] { archive[Int(frames[index].offset) + 100] ^= 1 }
    let found = try findings(archive)
    let size = SalvageTests.frameSize
    let files = SalvageTests.files
    let lost = [size..<4 * size, 7 * size..<8 * size, 12 * size..<13 * size]
    let named = files.filter { file in
      lost.contains { $0.overlaps(file.header..<max(file.header + 512, file.range.upperBound)) }
    }.map(\.path)
    #expect(Set(found.unread + found.bad.map(\.path)) == Set(named))
    #expect(Int(found.goodFiles) == files.count - named.count)
  }

  @Test func aDamagedHeaderOfAPlainArchiveCostsOneFile() throws {
    let archive = try SalvageTests.archive(.none)
    for (index, file) in SalvageTests.files.enumerated() {
      for offset in [0, 110, 130, 150, 257, 400] {
        var changed = archive
        changed[file.header + offset] ^= 0x01
        let found = try findings(changed)
        #expect(found.unread == [file.path], "\(index) \(offset)")
        #expect(found.bad.isEmpty && found.extra.isEmpty && found.missing.isEmpty)
        #expect(found.damage.count == 1)
      }
    }
  }

  /// What looks like a header within what is left of a file counts only if the manifest expects it.
  @Test func contentIsNotTakenForHeaders() throws {
    let inner = try SalvageTests.archive(.none)
    let other = try makeArchive(.none) { _ = try $0.add(plainFile("other"), content: [1]) }
    let archive = try makeArchive(.none) { writer in
      _ = try writer.add(plainFile("outer"), content: other + [UInt8](repeating: 0, count: 2048))
      for file in SalvageTests.files {
        _ = try writer.add(plainFile(file.path), content: file.content)
      }
    }
    #expect(archive.count > inner.count + 2048)
    var changed = archive
    changed[100] ^= 1
    let found = try findings(changed)
    #expect(Int(found.goodFiles) == SalvageTests.files.count)
    #expect(found.extra.isEmpty)
  }

  @Test func filesWithHolesSayWhatOfThemIsLost() throws {
    let temporary = try TemporaryFolder()
    let file = try temporary.folder("source").file("holes", .create(permissions: 0o600))
    let content = sampleBytes(12_000)
    for offset in [0, 1 << 20, 3 << 20] as [UInt64] {
      try content.withUnsafeBytes { try file.writeAll($0, at: offset) }
    }
    try file.truncate(to: 4 << 20)
    var member = plainFile("holes")
    member.size = 4 << 20
    let data = [0, 1 << 20, 3 << 20].map { UInt64($0)..<UInt64($0) + 12_288 }
    member.sparse = SparseMap(size: 4 << 20, data: data)
    var archive = try makeArchive(.zstd(level: 1), blockSize: SalvageTests.frameSize) {
      let source = try temporary.file("source/holes")
      try $0.add(
        member,
        CopiedFile(
          source, size: member.size, member.sparse, ifChanged: .refuse, checksum: .none,
          isReadOnce: false, nil))
    }
    // Three blocks of headers and a map; the frames after them end within the first two parts.
    let frames = try frames(archive, .zstd)
    for index in [3, 4] { archive[Int(frames[index].offset) + 100] ^= 1 }
    try temporary.write(archive, to: "base.tar")
    let found = try verify(archive: try temporary.file("base.tar"), against: nil)
    let start = archive.isEmpty ? 0 : 3 * 4096 - 4 * 512
    let fault = "bytes \(start) to 12287, 1048576 to \((1 << 20) + start + 8192 - 12289) cannot be "
    #expect(found.bad.first?.fault.hasPrefix(fault) == true, "\(found.bad)")
    #expect(found.damage.isEmpty)
  }

  /// Restoring ends at the first fault.
  @Test func unpackingRefusesADamagedFrame() throws {
    var archive = try SalvageTests.archive(.zstd(level: 1))
    archive[Int(try frames(archive, .zstd)[2].offset) + 100] ^= 1
    let temporary = try TemporaryFolder()
    try temporary.write(archive, to: "base.tar.zst")
    let error = #expect(throws: StillError.self) {
      _ = try unpack(
        archive: try temporary.file("base.tar.zst"), into: try temporary.folder("target"))
    }
    #expect(error?.message.contains("zstd: ") == true)
  }
}
