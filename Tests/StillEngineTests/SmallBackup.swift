import StillModel
import StillSystem
import StillTestSupport
import SystemPackage

@testable import StillArchive
@testable import StillEngine

/// A backup as a small cluster's looks, made without a server: a data directory with a tablespace,
/// holes and a file with two names, and WAL; in archives of several frames.
final class SmallBackup {
  /// A file of an archive, and where it is in the uncompressed stream.
  struct Placed {
    var path: String
    /// From its first header on.
    var start: Int
    /// The header that names it, and with holes their map, one block here.
    var header: Int
    var content: Range<Int>
    var isLink: Bool

    /// Whether these bytes are needed to read it.
    func needs(_ bytes: Range<Int>) -> Bool {
      (header..<content.lowerBound).overlaps(bytes) || content.overlaps(bytes)
    }
    func touches(_ bytes: Range<Int>) -> Bool {
      (start..<content.upperBound).overlaps(bytes)
    }
  }

  let compression: Compression
  let backup: BackupFolder
  private let place: TestFolder
  /// Every file of the backup, by its name.
  let content: [String: [UInt8]]

  static let tablespace: UInt32 = 16402
  /// The smallest there is.
  static let segmentSize = 1 << 20
  static let system: UInt64 = 7_000_000_000_000_000_000
  static let linked: Set<String> = ["base/5/2600", "base/5/2601"]

  /// The folders to copy, made once.
  final class Source: @unchecked Sendable {
    static let shared = Result { try Source() }

    let place: TestFolder

    /// - Parameter moved: a folder of the data directory that is not there; in its place is a link,
    ///   which no data directory may have, in a folder of its own.
    init(moved: FilePath? = nil) throws {
      place = try TestFolder(on: .disk)
      let root = try OpenFolder.open(place.path)
      for folder in [
        "data", "data/base", "data/base/5", "data/global", "data/pg_stat", "data/pg_tblspc",
        "data/pg_xact",
        "space", "space/PG_15_202209061", "space/PG_15_202209061/5", "wal", "wal/archive_status",
      ] { try root.makeFolder(FilePath(folder), permissions: 0o700) }
      func write(_ name: String, _ bytes: [UInt8]) throws {
        let file = try root.file(FilePath(name), .create(permissions: 0o600))
        try file.writeAll(bytes)
      }
      var random = Repeatable(seed: 15)
      func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next() >> 60) }
      }
      try write("data/PG_VERSION", Array("15\n".utf8))
      try write("data/postgresql.auto.conf", [])
      try write("data/base/5/1259", bytes(2_300_000))
      try write("data/base/5/2600", bytes(100_000))
      try root.makeHardLink(of: "data/base/5/2600", in: root, "data/base/5/2601")
      for number in 3000..<3040 { try write("data/base/5/\(number)", bytes(8192)) }
      try write("data/base/5/3041", bytes(1_200_000))
      let holes = try root.file("data/base/5/3042", .create(permissions: 0o600))
      try bytes(40_000).withUnsafeBytes { try holes.writeAll($0, at: 1 << 20) }
      try holes.truncate(to: 3 << 20)
      try holes.sync()
      try write("data/pg_xact/0000", bytes(8192))
      try write("data/global/1262", bytes(8192))
      try write("data/global/pg_control", bytes(8192))
      try root.makeLink(
        FilePath("data/pg_tblspc/\(SmallBackup.tablespace)"),
        to: place.path.appending("space").bytes)
      for number in 1...5 { try write("space/PG_15_202209061/5/\(number)", bytes(30_000)) }
      for number in 2...3 {
        try write(
          "wal/00000001000000000000000\(number)",
          SmallBackup.segment(UInt64(number), bytes(SmallBackup.segmentSize)))
      }
      guard let moved else { return }
      try root.rename(FilePath("data").pushing(moved), to: "moved")
      try root.makeFolder("links", permissions: 0o700)
      let link = FilePath("links").pushing(moved)
      if moved.components.count > 1 {
        try root.makeFolder(link.removingLastComponent(), permissions: 0o700)
      }
      try root.makeLink(link, to: place.path.appending("moved").bytes)
    }
  }

  /// - Parameter moved: a folder of the data directory that is a link in the backup, as none is
  ///   that this version makes.
  init(_ compression: Compression, moved: FilePath? = nil) throws {
    self.compression = compression
    place = try TestFolder(on: .memory)
    let origin = try moved.map { try Source(moved: $0) } ?? Source.shared.get()
    let source = try OpenFolder.open(origin.place.path)
    let root = try OpenFolder.open(place.path)
    let moment = CalendarTime(secondsSince1970: 1_790_000_000)
    let id = RunID(at: moment, salt: 4711)
    try root.makeFolder(FilePath(id.description), permissions: 0o700)
    let folder = try root.folder(FilePath(id.description))
    let exclusions = Exclusions(majorVersion: 15, isCleanlyShutDown: false)
    let manifest = try ManifestWriter(
      folder.file("backup_manifest", .create(permissions: 0o600)), systemIdentifier: nil)
    var archives: [BackupRecord.Archive] = []
    for (name, kind, from) in [
      ("base", SourceTree.Kind.dataDirectory(exclusions), "data"),
      (
        "\(SmallBackup.tablespace)",
        .tablespace(
          oid: SmallBackup.tablespace, versionFolder: "PG_15_202209061", exclusions), "space"
      ), ("pg_wal", .other(prefix: ""), "wal"),
    ] {
      let writer = try ArchiveWriter(
        named: name, in: folder, compression: compression, workers: 2, checksum: .sha256,
        archiveChecksum: name == "pg_wal" ? .sha256 : .crc32c,
        list: { try manifest.add($0) })
      try writer.add(SourceTree(kind, root: try source.folder(FilePath(from))))
      if moved != nil, name == "base" {
        try writer.add(SourceTree(.other(prefix: ""), root: try source.folder("links")))
      }
      let summary = try writer.finish()
      archives.append(
        .init(
          name: summary.fileName, files: Int(summary.files), members: Int(summary.members),
          bytesRead: summary.bytesRead, bytesWritten: summary.bytesWritten,
          checksum: summary.checksum.labelled))
    }
    let digest = try manifest.finish([
      WALRange(timeline: 1, start: LSN(0x20_0028), end: LSN(0x30_0100))
    ])
    let record = BackupRecord(
      id: id, cluster: "main", pgstillVersion: "1", began: moment, ended: moment,
      consistency: .online, reason: "it was asked for",
      server: .init(
        version: 150_018, systemIdentifier: SmallBackup.system, timeline: 1,
        dataDirectory: "/data", isStandby: false, hasDataChecksums: true,
        walSegmentSize: UInt64(SmallBackup.segmentSize)),
      tablespaces: [.init(oid: SmallBackup.tablespace, target: "/space")], walLink: nil,
      freeze: nil, online: nil,
      wal: .init(
        lsnBeforeFreeze: nil, redo: LSN(0x20_0028), checkpoint: LSN(0x20_0060),
        segmentsKept: [], segmentsLeftOut: 0),
      compression: "\(compression)", archives: archives, manifestSHA256: digest.description,
      configuration: [], missing: [], badPages: nil,
      phases: [.init(name: "copy", seconds: 0.5)], fillHistory: [], extensions: [])
    try RecordFile.write(record, to: folder.file("backup.json", .create(permissions: 0o600)))
    backup = BackupFolder(id: id, folder: folder)
    var content: [String: [UInt8]] = [:]
    for name in try folder.names() { content[name.string] = try folder.file(name).readAll() }
    self.content = content
  }

  /// A WAL segment whose pages have the headers of PostgreSQL 15, and anything behind them
  /// (src/include/access/xlog_internal.h).
  private static func segment(_ number: UInt64, _ content: [UInt8]) -> [UInt8] {
    var bytes = content
    for page in stride(from: 0, to: bytes.count, by: 8192) {
      let isFirst = page == 0
      bytes.withUnsafeMutableBytes { raw in
        func put(_ value: some FixedWidthInteger, at offset: Int) {
          withUnsafeBytes(of: value.littleEndian) { bytes in
            UnsafeMutableRawBufferPointer(rebasing: raw[(page + offset)...]).copyMemory(from: bytes)
          }
        }
        put(UInt16(0xD110), at: 0)
        put(UInt16(isFirst ? 2 : 0), at: 2)
        put(UInt32(1), at: 4)
        put(number * UInt64(segmentSize) + UInt64(page), at: 8)
        put(UInt64(0), at: 16)
        guard isFirst else { return }
        put(system, at: 24)
        put(UInt32(segmentSize), at: 32)
        put(UInt32(8192), at: 36)
      }
    }
    return bytes
  }

  var names: [String] { content.keys.sorted() }

  /// What `verify` says while one file has these bytes.
  func problems(with bytes: [UInt8], in name: String) throws -> [String] {
    let file = try backup.folder.file(FilePath(name), .update(permissions: 0o600))
    try file.truncate(to: 0)
    try bytes.withUnsafeBytes { try file.writeAll($0, at: 0) }
    defer {
      // As it was.
      _ = try? content[name]?.withUnsafeBytes { try file.writeAll($0, at: 0) }
    }
    return try verify(backup, workers: 2, Recorder(), Cancellation()).problems
  }

  /// Which bytes of the stream are in the frame that this byte of an archive is in; nil for bytes
  /// in no frame, and for what is not compressed.
  func frame(of offset: Int, in name: String) throws -> Range<Int>? {
    let file = try backup.folder.file(FilePath(name))
    var frames: [Frame]
    switch compression {
    case .none: return nil
    case .zstd: frames = try SeekTable.read(file, largest: 8 << 20) ?? []
    case .gzip, .lz4:
      let chain = try FrameChain(
        file, compression == .lz4 ? .lz4 : .gzip, largest: CopyPipeline.standardBlockSize)
      frames = []
      var place: UInt64 = 0
      while let frame = try chain.frame(at: place) {
        frames.append(frame)
        place += UInt64(frame.compressed)
      }
    }
    var start = 0
    for frame in frames {
      if Int(frame.offset)..<Int(frame.offset) + frame.compressed ~= offset {
        return start..<start + frame.size
      }
      start += frame.size
    }
    return nil
  }

  /// The files of an uncompressed archive. The stream of a compressed one is the same.
  static func files(of tar: [UInt8]) throws -> [Placed] {
    var files: [Placed] = []
    var place = 0
    var start = 0
    var name: String?
    while place + 512 <= tar.count, tar[place] != 0 {
      func text(_ range: Range<Int>) -> String {
        let bytes = tar[place + range.lowerBound..<place + range.upperBound]
        return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      guard let size = Int(text(TarFormat.size), radix: 8) else { throw Trouble("not a tar") }
      let content = place + 512..<place + 512 + size
      let kind = tar[place + TarFormat.typeFlag]
      let next = content.upperBound + TarFormat.padding(UInt64(size))
      if kind == UInt8(ascii: "x") {
        let words = String(decoding: tar[content], as: UTF8.self).split(separator: "\n")
        name = words.first { $0.contains("GNU.sparse.name=") }?.split(separator: "=").last
          .map(String.init)
      } else {
        if kind == UInt8(ascii: "0") || kind == UInt8(ascii: "1") {
          files.append(
            Placed(
              path: name ?? text(TarFormat.name), start: start, header: place,
              content: (name == nil ? content : content.dropFirst(512)),
              isLink: kind == UInt8(ascii: "1")))
        }
        start = next
        name = nil
      }
      place = next
    }
    return files
  }
}

/// Numbers that look random and are the same every time (Steele, Lea and Flood's SplitMix64).
struct Repeatable: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}
