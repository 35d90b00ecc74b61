import Foundation
import StillModel
import StillSystem
import Synchronization
import SystemPackage
import Testing

@testable import StillArchive

/// Trees that are mirrored, and shared with the mirror before.
@Suite struct MirrorTests {
  /// What a mirror of one tree came to.
  struct Mirrored {
    var part: BackupRecord.Mirror.Part
    var sharing: BackupRecord.Mirror.Sharing
    var notes: [String]
    var apart: [BackupRecord.Mirror.Apart] = []
    var files: [ManifestFile]

    var manifest: BackupManifest {
      BackupManifest(systemIdentifier: nil, files: files, walRanges: [])
    }
  }

  let temporary: TemporaryFolder

  init() throws { temporary = try TemporaryFolder() }

  /// Mirrors `source` as a data directory into the folder `name`.
  private func mirror(
    _ name: String, after earlier: String? = nil, checksum: ChecksumAlgorithm = .sha256,
    workers: Int = 3, progress: @escaping @Sendable (UInt64) -> Void = { _ in },
    change: (inout SourceTree) -> Void = { _ in }
  ) throws -> Mirrored {
    var tree = SourceTree(
      .dataDirectory(Exclusions(majorVersion: 15, isCleanlyShutDown: false)),
      root: try temporary.folder("source"))
    change(&tree)
    let mirror = try MirrorTree(
      temporary.folder(name), earlier: try earlier.map { try temporary.folder($0) },
      workers: workers, progress: progress)
    var files: [ManifestFile] = []
    let writer = try MirrorWriter(
      named: "base", in: mirror, checksum: checksum, list: { files.append($0) })
    try writer.add(tree)
    let part = try writer.finish()
    try mirror.finish()
    return Mirrored(
      part: part, sharing: mirror.sharing, notes: mirror.notes, apart: mirror.apart.0, files: files)
  }

  private func findings(_ name: String, _ mirrored: Mirrored) throws -> VerifyFindings {
    try verify(
      mirror: temporary.folder("\(name)/data"), without: MirrorPart.elsewhere(of: "base"),
      against: ExpectedFiles(mirrored.manifest, in: .base(tablespaces: [])), mirrored.part)
  }

  private func folder(_ name: String) throws -> OpenFolder { try temporary.folder(name) }

  /// All that is odd and may lie in a data directory.
  private func makeOddTree() throws {
    let root = try temporary.folder("source")
    try temporary.write(sampleBytes(3_000_000), to: "source/base/5/1")
    try temporary.write([], to: "source/empty")
    try temporary.write("control", to: "source/global/pg_control")
    _ = try temporary.folder("source/empty folder/inner")
    func write(_ name: FilePath, _ content: String) throws {
      let file = try root.file(name, .create(permissions: 0o640))
      try file.writeAll(Array(content.utf8))
      try file.close()
    }
    try write(FilePath(bytes: [0xFF, 0xFE, 0x20]), "not UTF-8")
    try write(FilePath(String(repeating: "l", count: 255)), "long")
    try write("hex:00", "looks like what stands in a record")
    try root.makeFolder(FilePath(bytes: [0x66, 0xC0]), permissions: 0o711)
    try root.makeLink("link", to: [0x2E, 0xFF])
    try root.makeHardLink(of: "base/5/1", in: root, "base/5/2")
    let holes = try root.file("holes", .create(permissions: 0o600))
    try sampleBytes(100_000).withUnsafeBytes { try holes.writeAll($0, at: 5 << 20) }
    try holes.truncate(to: 40 << 20)
    try holes.setExtendedAttribute(
      ExtendedAttribute(name: Array("user.note".utf8), value: [1, 0, 2]))
    try holes.setPermissions(0o440)
    try holes.setModified(seconds: 1_000_000_000, nanoseconds: 123_456_789)
    try holes.close()
    try root.setModified("empty folder", seconds: 1_100_000_000, nanoseconds: 5)
  }

  @Test("A mirror is the tree, with all that is odd in it")
  func isTheTree() throws {
    try makeOddTree()
    let made = try mirror("one")
    #expect(try listing(folder("one/data")) == listing(folder("source")))
    #expect(made.notes == [])
    #expect(made.part.files == 8)
    #expect(made.files.last?.path == "global/pg_control")
    #expect(made.files.map(\.path).contains(FilePath(bytes: [0xFF, 0xFE, 0x20])))
    let holes = try folder("one/data").metadata(of: "holes")
    #expect(holes.allocated < 1 << 20)
    // Names of one file are files of their own: nothing that is in use is shared.
    #expect(try folder("one/data/base/5").metadata(of: "2").linkCount == 1)
    #expect(made.sharing.linked == 0 && made.sharing.cloned == 0)
    let found = try findings("one", made)
    #expect(found.isClean, "\(found)")
    #expect(found.goodFiles == 8)
    // A record can say all of it.
    let text = try JSONEncoder().encode(made.part)
    #expect(try JSONDecoder().decode(BackupRecord.Mirror.Part.self, from: text) == made.part)
  }

  @Test("What did not change is the same file in the next mirror, and what did is another")
  func sharing() throws {
    try makeOddTree()
    let root = try folder("source")
    try temporary.write(sampleBytes(2_000_000), to: "source/base/5/changed")
    try temporary.write("mode", to: "source/mode")
    try temporary.write("time", to: "source/time")
    try temporary.write("short", to: "source/longer")
    try temporary.write("was long", to: "source/shorter")
    try temporary.write("goes", to: "source/goes")
    try temporary.write("same size", to: "source/touched back")
    _ = try mirror("one")
    let before = try listing(folder("one/data"))

    // One byte, and the time that was: only the content tells.
    let changed = try folder("source/base/5").metadata(of: "changed")
    let file = try root.file("base/5/changed", .update(permissions: 0o600))
    try [UInt8(ascii: "?")].withUnsafeBytes { try file.writeAll($0, at: 1_500_000) }
    try file.setModified(
      seconds: changed.modifiedSeconds, nanoseconds: changed.modifiedNanoseconds)
    try file.close()
    try root.setPermissions("mode", 0o604)
    try root.setModified("time", seconds: 1, nanoseconds: 0)
    try temporary.write("short no more", to: "source/longer")
    try temporary.write("was", to: "source/shorter")
    try root.remove("goes")
    try temporary.write("comes", to: "source/comes")

    let second = try mirror("two", after: "one")
    #expect(try listing(folder("two/data")) == listing(folder("source")))
    #expect(try listing(folder("one/data")) == before, "nothing of the older one may change")
    func isShared(_ name: FilePath) throws -> Bool {
      try folder("one/data").metadata(of: name).identity
        == folder("two/data").metadata(of: name).identity
    }
    for name: FilePath in [
      "base/5/1", "base/5/2", "empty", "holes", "touched back", "hex:00",
      FilePath(bytes: [0xFF, 0xFE, 0x20]), FilePath(String(repeating: "l", count: 255)),
    ] { #expect(try isShared(name), "\(name)") }
    for name: FilePath in [
      "base/5/changed", "mode", "time", "longer", "shorter", "global/pg_control",
    ] { #expect(try !isShared(name), "\(name)") }
    #expect(second.sharing.linked == 6_000_000 + (40 << 20) + 9 + 34 + 9 + 4)
    #expect(try findings("two", second).isClean)
  }

  @Test("A block that rotted in the older mirror is not handed on")
  func rot() throws {
    try temporary.write(sampleBytes(500_000), to: "source/base/5/1")
    try temporary.write("control", to: "source/global/pg_control")
    let first = try mirror("one")
    let metadata = try folder("one/data/base/5").metadata(of: "1")
    let file = try temporary.file("one/data/base/5/1", .update(permissions: 0o600))
    try [UInt8(0xAA)].withUnsafeBytes { try file.writeAll($0, at: 333_333) }
    try file.setModified(
      seconds: metadata.modifiedSeconds, nanoseconds: metadata.modifiedNanoseconds)
    try file.close()
    #expect(try findings("one", first).bad.map(\.path) == ["base/5/1"])
    let second = try mirror("two", after: "one")
    #expect(try findings("two", second).isClean)
    #expect(try temporary.read("two/data/base/5/1") == sampleBytes(500_000))
  }

  @Test(
    "Whatever the manifest holds of files, equal is what has equal bytes",
    arguments: [ChecksumAlgorithm.none, .crc32c, .sha256])
  func checksums(_ algorithm: ChecksumAlgorithm) throws {
    try temporary.write(sampleBytes(100_000), to: "source/same")
    try temporary.write(sampleBytes(100_000), to: "source/other")
    try temporary.write("control", to: "source/global/pg_control")
    _ = try mirror("one", checksum: algorithm)
    try temporary.write(sampleBytes(100_000, seed: 2), to: "source/other")
    let second = try mirror("two", after: "one", checksum: algorithm)
    #expect(second.sharing.linked == 100_000)
    #expect(try temporary.read("two/data/other") == sampleBytes(100_000, seed: 2))
    #expect(second.files.allSatisfy { $0.checksum.algorithm == algorithm })
  }

  @Test("Links and folders in the place of earlier files are no files to share")
  func obstacles() throws {
    try temporary.write("secret", to: "outside")
    for name in ["a", "b", "folder/c"] { try temporary.write("secret", to: "source/\(name)") }
    try temporary.write("control", to: "source/global/pg_control")
    _ = try mirror("one")
    let older = try folder("one/data")
    try older.remove("a")
    try older.makeLink("a", to: Array("\(temporary.path)/outside".utf8))
    try older.remove("b")
    try older.makeFolder("b", permissions: 0o700)
    try older.removeTree("folder")
    try older.makeLink("folder", to: Array("\(temporary.path)/source/folder".utf8))
    let second = try mirror("two", after: "one")
    #expect(try listing(folder("two/data")) == listing(folder("source")))
    #expect(second.sharing.linked == 0)
    #expect(try temporary.file("outside").metadata().linkCount == 1)
  }

  @Test("A live file that became shorter is filled up, a frozen one is an error")
  func changing() throws {
    try temporary.write(sampleBytes(5_000_000), to: "source/base/5/1")
    try temporary.write("control", to: "source/global/pg_control")
    let path = temporary.path
    // What the progress is told of the first megabyte comes before the next is read.
    func shortened(isFrozen: Bool, _ name: String) throws -> Mirrored {
      var tree = SourceTree(
        .dataDirectory(Exclusions(majorVersion: 15, isCleanlyShutDown: false)),
        root: try temporary.folder("source"))
      tree.isFrozen = isFrozen
      let mirror = try MirrorTree(
        temporary.folder(name), earlier: nil, workers: 1,
        progress: { _ in
          let file = try? OpenFile.open(
            FilePath(path + "/source/base/5/1"), .update(permissions: 0o600))
          try? file?.truncate(to: 1_500_000)
        })
      var files: [ManifestFile] = []
      let writer = try MirrorWriter(
        named: "base", in: mirror, checksum: .sha256, list: { files.append($0) })
      try writer.add(tree)
      let part = try writer.finish()
      try mirror.finish()
      return Mirrored(part: part, sharing: mirror.sharing, notes: mirror.notes, files: files)
    }
    let failure = #expect(throws: StillError.self) { try shortened(isFrozen: true, "frozen") }
    #expect(failure?.status == .copying)
    #expect(failure?.message.contains("shorter than the 5000000 bytes") ?? false)
    try temporary.write(sampleBytes(5_000_000), to: "source/base/5/1")
    let live = try shortened(isFrozen: false, "live")
    #expect(try findings("live", live).isClean)
    let bytes = try temporary.read("live/data/base/5/1")
    #expect(bytes.count == 5_000_000)
    #expect(Array(bytes[..<1_500_000]) == Array(sampleBytes(5_000_000)[..<1_500_000]))
    #expect(bytes[1_500_000...].allSatisfy { $0 == 0 })
  }

  @Test("What is made of a file's content waits until all files before it are read")
  func rewriting() throws {
    try temporary.write(sampleBytes(10_000), to: "source/base/5/1")
    try temporary.write("control", to: "source/global/pg_control")
    let isRead = Mutex(false)
    let made = try mirror(
      "one",
      progress: { count in
        guard count == 10_000 else { return }
        Clock.sleep(milliseconds: 300)
        isRead.withLock { $0 = true }
      },
      change: { tree in
        tree.rewrites["global/pg_control"] = { _ in
          Array((isRead.withLock { $0 } ? "after" : "before").utf8)
        }
      })
    #expect(try temporary.read("one/data/global/pg_control") == Array("after".utf8))
    #expect(try findings("one", made).isClean)
  }

  @Test("Behind a file that is slow no more than some hundred others wait, with what they hold")
  func behindSlow() throws {
    for index in 0..<1000 { try temporary.write("x", to: "source/base/\(index)/1") }
    try temporary.write("xx", to: "source/aaa")
    try temporary.write("control", to: "source/global/pg_control")
    let done = Mutex(0)
    let most = Mutex(0)
    _ = try mirror(
      "one", workers: 2,
      progress: { count in
        if count == 1 { done.withLock { $0 += 1 } }
        guard count == 2 else { return }
        // Until the other thread comes to no more of them.
        var before = -1
        while done.withLock({ $0 }) != before {
          before = done.withLock { $0 }
          Clock.sleep(milliseconds: 500)
        }
        most.withLock { $0 = before }
      })
    #expect(done.withLock { $0 } == 1000)
    let behind = most.withLock { $0 }
    #expect(behind > 10 && behind < 300, "\(behind)")
  }

  @Test("A mirror is read in the order of its manifest")
  func order() throws {
    for name in ["base/5/1", "global/1", "zebra"] { try temporary.write("x", to: "source/\(name)") }
    try temporary.write("control", to: "source/global/pg_control")
    var made = try mirror("one")
    try temporary.write("label", to: "one/data/backup_label")
    var label = made.files[0]
    label.path = "backup_label"
    label.size = 5
    made.files.append(label)
    let seen = Mutex<[FilePath]>([])
    _ = try verify(
      mirror: temporary.folder("one/data"), without: MirrorPart.elsewhere(of: "base"),
      against: ExpectedFiles(made.manifest, in: .base(tablespaces: [])), made.part,
      witness: { path, _ in
        seen.withLock { $0.append(path) }
        return nil
      })
    #expect(seen.withLock { $0 } == made.files.map(\.path))
    #expect(made.files.map(\.path).suffix(2) == ["global/pg_control", "backup_label"])
  }

  @Test("An earlier file that is lost while it is compared costs nothing but the sharing")
  func lostEarlier() throws {
    try temporary.write(sampleBytes(3_000_000), to: "source/base/5/1")
    try temporary.write("control", to: "source/global/pg_control")
    _ = try mirror("one")
    var bytes = sampleBytes(3_000_000)
    bytes[2_999_999] ^= 1
    try temporary.write(bytes, to: "source/base/5/1")
    let path = temporary.path
    let second = try mirror(
      "two", after: "one",
      progress: { count in
        guard count == 1 << 20 else { return }
        let file = try? OpenFile.open(
          FilePath(path + "/one/data/base/5/1"), .update(permissions: 0o600))
        try? file?.truncate(to: 100_000)
      })
    #expect(try temporary.read("two/data/base/5/1") == bytes)
    #expect(second.sharing.linked == 0 && second.sharing.cloned == 0)
    #expect(second.sharing.written == 3_000_007)
    #expect(second.notes.count == 1)
    #expect(
      second.notes.first?.contains("one/data/base/5/1 became shorter") == true, "\(second.notes)")
    #expect(try findings("two", second).isClean)
  }

  @Test("Two files that somebody made one in an earlier mirror are two in the next")
  func madeOne() throws {
    for name in ["base/5/1", "base/5/2"] {
      try temporary.write(sampleBytes(8192), to: "source/\(name)")
      try folder("source").setModified(FilePath(name), seconds: 1_000_000_000, nanoseconds: 1)
    }
    try temporary.write("control", to: "source/global/pg_control")
    _ = try mirror("one")
    let older = try folder("one/data/base/5")
    try older.remove("2")
    try older.makeHardLink(of: "1", in: older, "2")
    let second = try mirror("two", after: "one")
    let inner = try folder("two/data/base/5")
    let (one, two) = (try inner.metadata(of: "1"), try inner.metadata(of: "2"))
    #expect(one.identity != two.identity)
    #expect(second.sharing.linked == 8192)
    #expect(try findings("two", second).isClean)
  }

  @Test("What an inode has not comes from the record when the mirror is copied")
  func apart() throws {
    try temporary.write("key", to: "source/server.key")
    try temporary.write("control", to: "source/global/pg_control")
    let made = try mirror("one")
    #expect(made.apart == [])
    let list = "user::rw-,group::r--,mask::r--,other::---,user:7:r--"
    let given = BackupRecord.Mirror.Apart(
      path: .init("server.key"), mode: 0o4640, owner: 4711, group: 4712, ownerName: nil,
      groupName: nil, accessList: list, inheritedAccessList: nil,
      attributes: [.init(name: "user.note", value: [1, 0, 2])])
    let text = try JSONEncoder().encode(given)
    let read = try JSONDecoder().decode(BackupRecord.Mirror.Apart.self, from: text)
    let summary = try unpack(
      mirror: folder("one/data"), without: ["pg_wal"], apart: ["server.key": read],
      into: folder("target"))
    let isRoot = Account.effectiveUser == 0
    #expect(summary.ownersNotKept == (isRoot ? 0 : 1))
    let file = try folder("target").file("server.key")
    let metadata = try file.metadata()
    if isRoot { #expect(metadata.owner == 4711 && metadata.group == 4712) }
    #expect(metadata.mode == 0o4640)
    #expect(
      try file.extendedAttributes() == [
        ExtendedAttribute(name: Array("user.note".utf8), value: [1, 0, 2])
      ])
    #expect(try AccessLists.access(of: file.descriptor, shown: "")?.contains("r--:7") == true)
  }

  @Test("Each thing that is wrong in a mirror is named")
  func damage() throws {
    try makeOddTree()
    let made = try mirror("one")
    let root = try folder("one/data")
    try root.remove("empty")
    try root.remove("link")
    try root.makeLink("link", to: Array("/etc".utf8))
    try root.removeTree("empty folder")
    try root.makeFolder("new folder", permissions: 0o700)
    try temporary.write("x", to: "one/data/new file")
    try root.makeLink("new link", to: [0x2E])
    try Program.run("mkfifo", "one/data/pipe", in: temporary.path)
    let file = try temporary.file("one/data/base/5/2", .update(permissions: 0o600))
    try file.truncate(to: 2_999_999)
    let found = try findings("one", made)
    #expect(Set(found.bad.map(\.path)) == ["base/5/2", "link"])
    #expect(found.bad.contains { $0.fault == "it has 2999999 bytes instead of 3000000" })
    #expect(
      Set(found.missing) == ["empty", "empty folder", "empty folder/inner"])
    #expect(Set(found.extra) == ["new folder", "new file", "new link", "pipe"])
    #expect(found.goodFiles == 6)
  }

  @Test("A copy of a mirror is the tree again, and one that is bad is refused")
  func copying() throws {
    try makeOddTree()
    let made = try mirror("one")
    func restore(_ name: String) throws -> UnpackSummary {
      var options = UnpackOptions(
        expected: ExpectedFiles(made.manifest, in: .base(tablespaces: [])))
      options.last = "global/pg_control"
      return try unpack(
        mirror: folder("one/data"), without: ["pg_wal"], into: folder(name), options)
    }
    #expect(try restore("target").files == 8)
    #expect(try listing(folder("target")) == listing(folder("source")))
    #expect(try folder("target").metadata(of: "holes").allocated < 1 << 20)
    let file = try temporary.file("one/data/base/5/1", .update(permissions: 0o600))
    try [UInt8(0xAA)].withUnsafeBytes { try file.writeAll($0, at: 2_999_999) }
    let failure = #expect(throws: StillError.self) { try restore("bad") }
    #expect(failure?.status == .copying)
    #expect(failure?.message.contains("base/5/1 in ") ?? false, "\(String(describing: failure))")
    #expect(try folder("bad").metadataIfPresent(of: "global/pg_control") == nil)
  }
}
