import Foundation
import StillModel
import StillSystem
import SystemPackage
import Testing

@testable import StillArchive

/// Files with holes keep them, through our own hands and GNU tar's.
@Suite struct SparseFileTests {
  private static let megabyte: UInt64 = 1 << 20

  /// Name, size, and where there is data.
  private static let files: [(name: String, size: UInt64, data: [Range<UInt64>])] = [
    ("all", 3 * megabyte, []),
    ("beginning", 4 * megabyte + 77, [3 * megabyte..<4 * megabyte + 77]),
    ("end", 5 * megabyte, [0..<100_000]),
    ("middle", 12 * megabyte, [0..<70_000, 7 * megabyte..<12 * megabyte]),
    (
      "\u{e4}\u{f6}/" + String(repeating: "n", count: 255), 400 * megabyte,
      (0..<400).map { $0 * megabyte..<$0 * megabyte + 5000 }
    ),
    ("over 8 GiB", 9 << 30, [1 << 20..<(1 << 20) + 10, (8 << 30) + 5..<(8 << 30) + 2_500_000]),
    // Next to nothing is missing: not worth it.
    ("nearly whole", 100_000, [0..<50_000, 70_000..<100_000]),
  ]

  private static func makeTree(_ temporary: TemporaryFolder) throws -> OpenFolder {
    let root = try temporary.folder("source")
    for (index, (name, size, data)) in files.enumerated() {
      try temporary.write([], to: "source/\(name)")
      let file = try temporary.file("source/\(name)", .update(permissions: 0o640))
      for part in data {
        try sampleBytes(part.count, seed: UInt64(index) + part.lowerBound).withUnsafeBytes {
          try file.writeAll($0, at: part.lowerBound)
        }
      }
      try file.truncate(to: size)
      // Blocks that wait for their place count already, but later.
      try file.sync()
    }
    try temporary.write("plain", to: "source/plain")
    return root
  }

  /// The same content, found without reading the holes; and holes in the same places.
  private func expectSame(_ temporary: TemporaryFolder, at place: SourceLocation = #_sourceLocation)
    throws
  {
    for (name, size, _) in SparseFileTests.files {
      let (old, new) = (
        try temporary.file("source/\(name)"), try temporary.file("target/\(name)")
      )
      let (was, metadata) = (try old.metadata(), try new.metadata())
      #expect(metadata.size == size, "\(name)", sourceLocation: place)
      #expect(
        metadata.modifiedNanoseconds == was.modifiedNanoseconds, "\(name)", sourceLocation: place)
      // Smaller holes may be filled, larger ones must not be.
      #expect(
        metadata.allocated <= was.allocated + 64 << 10, "\(name)", sourceLocation: place)
      #expect(try parts(new) == parts(old), "\(name)", sourceLocation: place)
    }
    #expect(try temporary.read("target/plain") == Array("plain".utf8), sourceLocation: place)
  }

  /// Whatever is not zeros, by its place, in blocks of 4 KiB.
  private func parts(_ file: OpenFile) throws -> [UInt64: [UInt8]] {
    var found: [UInt64: [UInt8]] = [:]
    var offset: UInt64 = 0
    var buffer = [UInt8](repeating: 0, count: 4096)
    while let part = try file.nextData(from: offset) {
      var place = part.lowerBound / 4096 * 4096
      while place < part.upperBound {
        let count = try buffer.withUnsafeMutableBytes { try file.readFully(into: $0, at: place) }
        if count == 0 { break }
        if buffer[..<count].contains(where: { $0 != 0 }) { found[place] = Array(buffer[..<count]) }
        place += 4096
      }
      offset = part.upperBound
    }
    return found
  }

  @Test(arguments: RoundTripTests.compressions) func comeBackWithTheirHoles(
    _ compression: Compression
  ) throws {
    let temporary = try TemporaryFolder()
    let source = try SparseFileTests.makeTree(temporary)
    let name = try RoundTripTests.archive(source, temporary, compression, checksum: .crc32c).file
    let summary = try unpack(
      archive: try temporary.file(name), into: try temporary.folder("target"))
    try expectSame(temporary)
    // What was read and written, not what it looks like.
    #expect(summary.bytes < 20 * SparseFileTests.megabyte)
    #expect(try temporary.file(name).metadata().size < 20 * SparseFileTests.megabyte)
  }

  @Test(arguments: RoundTripTests.compressions) func areReadByGNUTar(
    _ compression: Compression
  ) throws {
    let temporary = try TemporaryFolder()
    let source = try SparseFileTests.makeTree(temporary)
    let name = try RoundTripTests.archive(source, temporary, compression, checksum: .none).file
    _ = try temporary.folder("target")
    let program = compression == .lz4 ? ["-I", "lz4"] : []
    try Program.run(["tar", "-xpf", name, "-C", "target"] + program, in: temporary.path)
    try expectSame(temporary)
    let list = String(
      decoding: try Program.run(["tar", "-tvf", name] + program, in: temporary.path), as: UTF8.self)
    #expect(list.contains(" \(9 << 30) "))
  }

  @Test(arguments: [
    ["--format=gnu"], ["--format=posix", "--sparse-version=0.0"],
    ["--format=posix", "--sparse-version=0.1"], ["--format=posix", "--sparse-version=1.0"],
  ])
  func ofGNUTarAreRead(_ format: [String]) throws {
    let temporary = try TemporaryFolder()
    let source = try SparseFileTests.makeTree(temporary)
    let isPosix = format.count > 1
    if !isPosix {
      // This format has whole seconds only.
      for file in SparseFileTests.files {
        try source.setModified(FilePath(file.name), seconds: 1_000_000_000, nanoseconds: 0)
      }
    }
    try Program.run(
      ["tar", "--sparse", "-cf", "a.tar", "-C", "source"] + format + ["."], in: temporary.path)
    _ = try unpack(
      archive: try temporary.file("a.tar"), into: try temporary.folder("target"))
    try expectSame(temporary)
  }

  @Test func manifestHasTheWholeContent() throws {
    let temporary = try TemporaryFolder()
    let root = try temporary.folder("source")
    let file = try root.file("holes", .create(permissions: 0o600))
    for offset in [UInt64](arrayLiteral: 1 << 20, 9 << 20) {
      try sampleBytes(3_000_000).withUnsafeBytes { try file.writeAll($0, at: offset) }
    }
    try file.truncate(to: 20 << 20)
    try file.sync()
    let (name, listed) = try RoundTripTests.archive(root, temporary, .none)
    let sum = String(
      decoding: try Program.run("sha256sum", "source/holes", in: temporary.path), as: UTF8.self)
    // Trees that no manifest lists are listed by nobody; what the writer computed is what counts.
    #expect(listed.isEmpty)
    let manifest = try manifest(of: root, temporary)
    #expect(manifest.files.map(\.size) == [20 << 20, 1])
    #expect(sum.hasPrefix(manifest.files[0].checksum.description))
    func findings(_ archive: String, _ manifest: BackupManifest) throws -> VerifyFindings {
      try verify(
        archive: try temporary.file(archive),
        against: ExpectedFiles(manifest, in: .base(tablespaces: [])))
    }
    #expect(try findings("listed.tar", manifest).isClean)
    // A hole that ends elsewhere, and a byte of the data.
    var other = manifest
    other.files[0].size += 1
    #expect(try findings("listed.tar", other).bad.map(\.path) == ["holes"])
    var bytes = try temporary.read("listed.tar")
    bytes[3_000_000] ^= 1
    try temporary.write(bytes, to: "changed.tar")
    #expect(try findings("changed.tar", manifest).bad.map(\.path) == ["holes"])
    _ = name
  }

  /// As a data directory, whose files are listed.
  private func manifest(of root: OpenFolder, _ temporary: TemporaryFolder) throws -> BackupManifest
  {
    try temporary.write("c", to: "source/global/pg_control")
    var files: [ManifestFile] = []
    let exclusions = Exclusions(majorVersion: 15, isCleanlyShutDown: false)
    _ = try writeArchive(
      named: "listed", in: try temporary.open(), compression: .none, workers: 2,
      from: SourceTree(.dataDirectory(exclusions), root: root), manifest: &files,
      checksum: .sha256)
    return BackupManifest(
      systemIdentifier: nil, files: files.sorted { $0.size > $1.size }, walRanges: [])
  }

  @Test func whatHasNoHolesIsWrittenAsEver() throws {
    let temporary = try TemporaryFolder()
    let root = try temporary.folder("source")
    // Zeros that are there are no holes; ends of files may lie in blocks that are not.
    try temporary.write([UInt8](repeating: 0, count: 3_000_000), to: "source/zeros")
    try temporary.write([], to: "source/empty")
    try temporary.write("small", to: "source/small")
    try root.file("zeros").sync()
    for name in try root.names() {
      try root.setModified(name, seconds: 1_000_000_000, nanoseconds: 0)
    }
    let name = try RoundTripTests.archive(root, temporary, .none).file
    let archive = try temporary.read(name)
    #expect(!archive.contains(bytes: "GNU.sparse"))
    // The root's own time has a fraction; the files need nothing but their headers.
    #expect(archive.count < 3_000_000 + 10 * 512)
  }

  @Test func oneHoleOfATerabyteIsNothing() throws {
    let temporary = try TemporaryFolder()
    let root = try temporary.folder("source")
    try root.file("void", .create(permissions: 0o600)).truncate(to: 1 << 40)
    let name = try RoundTripTests.archive(root, temporary, .none, checksum: .none).file
    #expect(try temporary.file(name).metadata().size < 10_000)
    let target = try temporary.folder("target")
    _ = try unpack(archive: try temporary.file(name), into: target)
    #expect(try target.metadata(of: "void").size == 1 << 40)
    #expect(try target.metadata(of: "void").allocated < 1 << 20)
  }

  /// Its checksum takes many minutes; who stops the backup does not wait for it.
  @Test func checksumOfATerabyteCanBeStopped() throws {
    let temporary = try TemporaryFolder()
    let root = try temporary.folder("source")
    try root.file("void", .create(permissions: 0o600)).truncate(to: 1 << 40)
    let cancellation = Cancellation()
    let reason = StillError(.overflow, "the snapshot overflowed")
    let thread = try WorkerThread {
      Clock.sleep(milliseconds: 200)
      cancellation.cancel(reason)
    }
    defer { thread.join() }
    var manifest: [ManifestFile] = []
    #expect(throws: reason) {
      _ = try writeArchive(
        named: "base", in: try temporary.open(), compression: .lz4, workers: 1,
        from: SourceTree(.other(prefix: ""), root: root), manifest: &manifest, checksum: .sha256,
        cancellation: cancellation)
    }
  }

  /// An open file of a snapshot keeps the snapshot from being removed.
  @Test func filesAreClosedWhenPiecesWaitInVain() throws {
    let temporary = try TemporaryFolder()
    let root = try temporary.folder("source")
    let file = try root.file("void", .update(permissions: 0o600))
    try file.truncate(to: 1 << 40)
    try file.writeDurably([UInt8](repeating: 65, count: 65536), at: 0)
    try file.writeDurably([UInt8](repeating: 66, count: 16 << 20), at: (1 << 40) - (16 << 20))
    try file.close()
    let cancellation = Cancellation()
    let reason = StillError(.overflow, "the snapshot overflowed")
    let thread = try WorkerThread {
      Clock.sleep(milliseconds: 500)
      cancellation.cancel(reason)
    }
    defer { thread.join() }
    var manifest: [ManifestFile] = []
    #expect(throws: reason) {
      _ = try writeArchive(
        named: "base", in: try temporary.open(), compression: .lz4, workers: 4,
        from: SourceTree(.other(prefix: ""), root: root), manifest: &manifest, checksum: .sha256,
        cancellation: cancellation)
    }
    let descriptors = try OpenFolder.open("/proc/self/fd")
    let open = try descriptors.names().compactMap { try? descriptors.target(ofLink: $0) }
    #expect(!open.contains(root.path.appending("void").bytes))
  }

  @Test func mapsThatCannotBeAreRefused() throws {
    func member(_ map: [UInt8], realSize: String = "2000000") throws -> [UInt8] {
      var records = PaxRecords()
      for (key, value) in [
        ("major", "1"), ("minor", "0"), ("name", "holes"), ("realsize", realSize),
      ] { records.add("GNU.sparse.\(key)", value) }
      var pax = TarMember(path: "pax", kind: .other(UInt8(ascii: "x")), mode: 0o644)
      pax.size = UInt64(records.bytes.count)
      var file = plainFile("beside")
      file.size = 1024
      return pax.encodedHeader() + records.padded + file.encodedHeader() + map
        + [UInt8](repeating: 0, count: 512 - map.count) + [UInt8](repeating: 65, count: 512)
        + [UInt8](repeating: 0, count: 1024)
    }
    let good = try entries(of: try member(Array("1\n512\n512\n".utf8)))
    #expect(good.map(\.member.path) == ["holes"])
    #expect(good[0].content.count == 2_000_000)
    #expect(good[0].content[512..<1024].allSatisfy { $0 == 65 })
    for map in [
      "", "x\n", "1\n512\n", "99999999999\n", "1\n512\n511\n", "1\n512\n513\n", "1\n1999999\n512\n",
      "2\n512\n256\n512\n256\n", "2\n0\n100\n1000\n412\n", "1\n18446744073709551615\n512\n",
    ] {
      let error = #expect(throws: StillError.self, "\(map)") {
        _ = try entries(of: try member(Array(map.utf8)))
      }
      #expect(error?.status == .copying)
      #expect(error?.message.contains("is damaged") == true, "\(map)")
    }
  }
}

extension [UInt8] {
  fileprivate func contains(bytes text: String) -> Bool {
    Data(self).range(of: Data(text.utf8)) != nil
  }
}
