import StillModel
import StillPostgres
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

@testable import StillArchive

/// The pages are PostgreSQL's own: a stopped cluster with data checksums.
@Suite struct PageCheckTests {
  /// Made once; every test only reads it.
  private final class Pages: @unchecked Sendable {
    static let shared = Result { try Pages() }

    let cluster: ThrowAwayCluster
    /// A table of a few hundred pages.
    let table: FilePath
    let control: ControlFile

    init() throws {
      cluster = try ThrowAwayCluster(initdb: ["--data-checksums"])
      table = FilePath(
        try cluster.sql(
          "CREATE TABLE t AS SELECT i, repeat('x', 500) FROM generate_series(1, 4000) AS i",
          "VACUUM t", "SELECT pg_relation_filepath('t')"))
      try cluster.stop()
      control = try DataDirectory.open(cluster.dataDirectory).control
    }
  }

  let cluster: ThrowAwayCluster
  let check: PageCheck
  let table: FilePath

  init() throws {
    let pages = try Pages.shared.get()
    (cluster, table) = (pages.cluster, pages.table)
    // Every page is from before such a backup.
    check = PageCheck(start: LSN(.max), pages.control)
  }

  private func bytes(_ path: FilePath) throws -> [UInt8] {
    try OpenFile.open(cluster.dataDirectory.pushing(path)).readAll()
  }

  private func pages(_ path: FilePath) throws -> [[UInt8]] {
    let all = try bytes(path)
    return stride(from: 0, to: all.count, by: 8192).map { Array(all[$0..<$0 + 8192]) }
  }

  private func verdict(_ page: [UInt8], _ block: Int, _ check: PageCheck) -> PageCheck.Verdict {
    page.withUnsafeBytes { check.verdict($0, block: UInt32(block)) }
  }

  /// Lets a file pass by in pieces.
  private func inspect(_ content: [UInt8], as name: FilePath, _ check: PageCheck, pieces: [Int])
    throws -> [UInt32]
  {
    let place = try TestFolder(on: .memory)
    let file = try OpenFolder.open(place.path).file("file", .update(permissions: 0o600))
    try file.writeAll(content)
    let inspector = try #require(check.inspector(of: name, file))
    var (offset, turn) = (0, 0)
    while offset < content.count {
      let count = min(pieces[turn % pieces.count], content.count - offset)
      content[offset..<offset + count].withUnsafeBytes { inspector.take($0) }
      offset += count
      turn += 1
    }
    return inspector.bad
  }

  @Test func everyPageOfTheClusterIsGood() throws {
    #expect(check.pageSize == 8192)
    #expect(check.pagesPerFile == 131072)
    let files = try Tool.demand("find", cluster.dataDirectory.string, "-type", "f")
    var (good, relations) = (0, 0)
    for line in files.split(separator: "\n") {
      let path = try #require(FilePath(String(line)).relative(to: cluster.dataDirectory))
      guard check.inspector(of: path, reread: { _, _ in 0 }) != nil else { continue }
      relations += 1
      for (block, page) in try pages(path).enumerated() {
        #expect(verdict(page, block, check) == .good, "\(path) \(block)")
        good += 1
      }
    }
    #expect(relations > 800)
    #expect(good > 2500)
  }

  @Test func aPageThatIsNotItselfIsBad() throws {
    let page = try pages(table)[3]
    #expect(verdict(page, 3, check) == .good)
    #expect(verdict(page, 4, check) == .bad, "at another place")
    for offset in [0, 8, 10, 11, 12, 14, 127, 128, 4096, 8191] {
      var damaged = page
      damaged[offset] ^= 1
      #expect(verdict(damaged, 3, check) == .bad, "byte \(offset)")
    }
  }

  @Test func newPagesAreZeros() {
    var page = [UInt8](repeating: 0, count: 8192)
    #expect(verdict(page, 3, check) == .good)
    page[5000] = 1
    #expect(verdict(page, 3, check) == .bad)
  }

  @Test func whatWasChangedSinceTheStartIsNotJudgedYet() throws {
    var page = try pages(table)[3]
    let (high, low): (UInt32, UInt32) = page.withUnsafeBytes {
      (
        $0.loadUnaligned(fromByteOffset: 0, as: UInt32.self),
        $0.loadUnaligned(fromByteOffset: 4, as: UInt32.self)
      )
    }
    let lsn = UInt64(high) << 32 | UInt64(low)
    page[5000] ^= 1
    var check = check
    check.start = LSN(lsn)
    #expect(verdict(page, 3, check) == .changed(LSN(lsn)))
    check.start = LSN(lsn + 1)
    #expect(verdict(page, 3, check) == .bad)
  }

  /// Whoever checks a page knows its folder, to read it again.
  @Test func foldersAreClosedWhenTheirFilesAreThrough() throws {
    let temporary = try TemporaryFolder()
    let root = try temporary.folder("source/base")
    for number in 1...600 {
      try root.makeFolder(FilePath("\(number)"), permissions: 0o700)
      try root.folder(FilePath("\(number)")).file("16384", .create(permissions: 0o600))
        .writeAll([UInt8](repeating: 0, count: 8192))
    }
    try temporary.folder("source/global").file("pg_control", .create(permissions: 0o600)).close()
    let writer = try ArchiveWriter(
      named: "base", in: temporary.open(), compression: .lz4, workers: 2, checksum: .crc32c)
    let exclusions = Exclusions(majorVersion: 15, isCleanlyShutDown: false)
    var tree = SourceTree(
      .dataDirectory(exclusions), root: try OpenFolder.open(root.path.removingLastComponent()))
    tree.pageCheck = check
    try writer.add(tree)
    #expect(try writer.finish().files == 601)
    let descriptors = try OpenFolder.open("/proc/self/fd")
    let open = try descriptors.names().compactMap { try? descriptors.target(ofLink: $0) }
    #expect(open.count { $0.starts(with: root.path.appending("").bytes) } < 10)
    withExtendedLifetime(writer) {}
  }

  @Test func aPageFromBehindTheEndOfTheLogIsBad() throws {
    var content = try bytes(table)
    let place = try TestFolder(on: .memory)
    let file = try OpenFolder.open(place.path).file("file", .update(permissions: 0o600))
    // Their positions are 7/…, far ahead; the third is damaged elsewhere, and the fourth torn.
    for block in [2, 5] { content[block * 8192] = 7 }
    content[8 * 8192 + 5000] ^= 1
    content[9 * 8192] = 3
    try file.writeAll(content)
    let inspector = try #require(check.inspector(of: table, file))
    content.withUnsafeBytes { inspector.take($0) }
    #expect(inspector.bad == [2, 5, 8, 9], "before such a start everything is judged at once")

    var late = check
    late.start = LSN(1 << 32)
    let other = try #require(late.inspector(of: table, file))
    content.withUnsafeBytes { other.take($0) }
    #expect(other.bad == [8])
    let pages = CheckedPages(file: table.string, bad: other.bad, changed: other.changed)
    #expect(pages.badPages(before: LSN(4 << 32))?.blocks == [2, 5, 8])
    #expect(pages.badPages(before: LSN(1 << 33))?.blocks == [2, 5, 8, 9])
    #expect(pages.badPages(before: LSN(8 << 32))?.blocks == [8])
    let good = CheckedPages(file: table.string, bad: [], changed: other.changed)
    #expect(good.badPages(before: LSN(8 << 32)) == nil)
  }

  @Test(
    "Pages are found in pieces of any size",
    arguments: [[8192], [4 << 20], [512], [7680, 512, 9000], [1, 8191, 3], [100_000]])
  func pieces(_ pieces: [Int]) throws {
    var content = try bytes(table)
    #expect(try inspect(content, as: table, check, pieces: pieces) == [])
    content[2 * 8192 + 77] ^= 4
    content[9 * 8192] ^= 4
    content += [1, 2, 3]
    #expect(try inspect(content, as: table, check, pieces: pieces) == [2, 9])
  }

  @Test(
    "The pages of holes are good, and those behind them have their numbers", arguments: [0, 4096])
  func holes(_ rest: Int) throws {
    var content = try bytes(table)
    // Pages 2 to 5, and with a rest half of page 6 too: that one is no page any more.
    let hole = 2 * 8192..<6 * 8192 + rest
    content.replaceSubrange(hole, with: [UInt8](repeating: 0, count: hole.count))
    content[9 * 8192 + 100] ^= 1
    // Whoever looks again finds nothing good.
    let inspector = try #require(
      check.inspector(of: table) { room, _ in
        room.initializeMemory(as: UInt8.self, repeating: 7)
        return room.count
      })
    for part in [0..<hole.lowerBound, hole.upperBound..<content.count] {
      content[part].withUnsafeBytes { inspector.take($0, at: UInt64(part.lowerBound)) }
    }
    #expect(inspector.bad == (rest == 0 ? [9] : [6, 9]))
  }

  @Test func blocksAreCountedOverTheFilesOfARelation() throws {
    var check = check
    check.pagesPerFile = 4
    let all = try bytes(table)
    let second = FilePath(table.string + ".1")
    let content = Array(all[4 * 8192..<8 * 8192])
    #expect(try inspect(content, as: second, check, pieces: [8192]) == [])
    #expect(try inspect(content, as: table, check, pieces: [8192]) == [0, 1, 2, 3])
    var damaged = content
    damaged[8192] ^= 1
    #expect(try inspect(damaged, as: second, check, pieces: [8192]) == [5])
  }

  @Test func aPageThatIsGoodTheSecondTimeIsGood() throws {
    let place = try TestFolder(on: .memory)
    let file = try OpenFolder.open(place.path).file("file", .update(permissions: 0o600))
    let content = try bytes(table)
    try file.writeAll(content)
    let inspector = try #require(check.inspector(of: table, file))
    // Half of it from before a write.
    var torn = content
    torn.replaceSubrange(8192 + 4096..<2 * 8192, with: [UInt8](repeating: 7, count: 4096))
    torn.withUnsafeBytes { inspector.take($0) }
    #expect(inspector.bad == [])
    // Cut off since it was read.
    try file.truncate(to: 8192)
    let other = try #require(check.inspector(of: table, file))
    torn.withUnsafeBytes { other.take($0) }
    #expect(other.bad == [])
  }

  @Test func onlyRelationsAreChecked() throws {
    let file = try OpenFile.open(cluster.dataDirectory.pushing(table))
    for name in [
      "global/pg_control", "base/5/pg_filenode.map", "PG_VERSION", "base/5/PG_VERSION",
      "pg_xact/0000", "pg_multixact/offsets/0000", "16384", "base/5/t3_16384",
    ] {
      #expect(check.inspector(of: FilePath(name), file) == nil, "\(name)")
    }
    for name in [
      "global/1262", "base/5/16384", "base/5/16384_fsm", "base/5/16384_vm.2", "base/5/16384_init",
      "pg_tblspc/16402/PG_15_202209061/5/16403",
    ] {
      #expect(check.inspector(of: FilePath(name), file) != nil, "\(name)")
    }
  }
}

extension PageCheck {
  fileprivate func inspector(of path: FilePath, _ file: OpenFile) -> PageInspector? {
    inspector(of: path) { try file.readFully(into: $0, at: $1) }
  }
}
