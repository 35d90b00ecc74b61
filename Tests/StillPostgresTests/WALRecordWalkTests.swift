import StillModel
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

@testable import StillPostgres

/// Over PostgreSQL's own log, in segments of 1 MiB.
@Suite struct WALRecordWalkTests {
  private let cluster: ThrowAwayCluster
  /// Where the walk begins.
  private let start: LSN

  init() throws {
    cluster = try ThrowAwayCluster(
      settings: [
        "min_wal_size": "64MB", "max_wal_size": "1GB", "checkpoint_timeout": "1h",
        "autovacuum": "off", "wal_keep_size": "1GB", "allow_in_place_tablespaces": "on",
      ],
      initdb: ["--wal-segsize=1"])
    try cluster.sql("CHECKPOINT")
    start = try DataDirectory.open(cluster.dataDirectory).control.redo
  }

  private var wal: FilePath { cluster.dataDirectory.appending("pg_wal") }

  /// Records of every size: some on several pages, some on several segments.
  private func write() throws {
    let session = try cluster.session()
    _ = try session.query("CREATE TABLE public.t\(UInt32.random(in: 0...(.max))) (n int, t text)")
    for size in [1, 8, 100, 5000, 8100, 8192, 40_000, 700_000, 2_500_000, 17] {
      _ = try session.query(
        "SELECT pg_logical_emit_message(true, 'test', repeat('x', \(size)))")
    }
    for size in 1...300 {
      _ = try session.query("SELECT pg_logical_emit_message(false, 'test', repeat('y', \(size)))")
    }
    _ = try session.query("SELECT pg_switch_wal()")
    _ = try session.query("SELECT pg_logical_emit_message(true, 'test', 'z')")
  }

  private func makeTablespaces() throws -> [WALRecordWalk.NewTablespace] {
    let session = try cluster.session()
    func make(_ name: String, _ place: String) throws -> UInt32 {
      _ = try session.query("CREATE TABLESPACE \(name) LOCATION '\(place)'")
      return try #require(
        UInt32(
          session.query("SELECT oid FROM pg_tablespace WHERE spcname = $1", [name]).single()
            .string("oid")))
    }
    var found: [WALRecordWalk.NewTablespace] = []
    // A path beyond 255 bytes, too: its length stands in four bytes then.
    let long = String(repeating: "long", count: 40) + "/" + String(repeating: "x", count: 99)
    for name in ["one", long] {
      let place = cluster.folder.pushing(FilePath(name)).string
      try cluster.runAsOwner("/bin/mkdir", ["-m", "700", "-p", place])
      found.append(.init(oid: try make("brief", place), path: place))
      _ = try session.query("DROP TABLESPACE brief")
      found.append(.init(oid: try make("inside", ""), path: ""))
      _ = try session.query("DROP TABLESPACE inside")
    }
    return found
  }

  /// All that there is, in pieces of `size` bytes.
  private func walk(pieces size: Int = 1 << 20, from: LSN? = nil) throws -> WALRecordWalk {
    let from = from ?? start
    let control = try DataDirectory.open(cluster.dataDirectory).control
    var walk = WALRecordWalk(start: from, pageSize: control.walBlockSize)
    let names = try OpenFolder.open(wal).names().compactMap {
      WALSegmentName($0.string, size: 1 << 20)
    }.filter { $0.end > from }.sorted()
    for segment in names {
      walk.enter(segment)
      let bytes = try OpenFile.open(wal.appending(segment.description)).readAll()
      for offset in stride(from: 0, to: bytes.count, by: size) {
        bytes[offset..<min(offset + size, bytes.count)].withUnsafeBytes { walk.take($0) }
      }
    }
    return walk
  }

  private func position() throws -> LSN {
    try cluster.session().query("SELECT pg_current_wal_insert_lsn() AS at").single().lsn("at")
  }

  @Test(
    "It ends where the server's log does, in pieces of any size", arguments: [1 << 20, 8192, 777])
  func end(pieces: Int) throws {
    try write()
    try write()
    let expected = try position()
    // An open session has nothing to write, and an idle server hardly anything.
    let walk = try walk(pieces: pieces)
    #expect(walk.end >= expected)
    #expect(walk.end.position < expected.position + 8192)
    #expect(walk.newTablespaces == [])
  }

  @Test("It ends where PostgreSQL's own reader ends")
  func likeTheServersReader() throws {
    try write()
    try cluster.stop("immediate")
    // pg_waldump says after which record it finds no other, and where it looked.
    let segments = try OpenFolder.open(wal).names().filter {
      WALSegmentName($0.string, size: 1 << 20) != nil
    }
    #expect(segments.count > 3)
    let words = try cluster.runAsOwner(
      "/bin/sh",
      ["-c", "\(cluster.programs)/pg_waldump -q -p \(wal) -s \(start) 2>&1 || true"])
    let end = try walk().end
    #expect(words.contains("at \(end):"), "\(words)")
  }

  @Test("After a segment switch the log goes on with the next segment")
  func switched() throws {
    try write()
    try cluster.sql("SELECT pg_switch_wal()")
    let expected = try position()
    #expect(expected.position % (1 << 20) < 100, "\(expected)")
    #expect(try walk().end.position >= expected.position / (1 << 20) * (1 << 20))
  }

  @Test("Every tablespace that was created is found, with its path", arguments: [1 << 20, 1000])
  func tablespaces(pieces: Int) throws {
    try write()
    let made = try makeTablespaces()
    try write()
    let late = try makeTablespaces()
    #expect(try walk(pieces: pieces).newTablespaces == made + late)
  }

  @Test("A record whose end was lost in a crash does not end the walk")
  func startingOver() throws {
    try write()
    try cluster.sql("CHECKPOINT")
    // Onto the next segment, and over its end.
    try cluster.sql(
      "SELECT pg_switch_wal()",
      "SELECT pg_logical_emit_message(false, 'test', repeat('x', 900000))",
      "SELECT pg_logical_emit_message(true, 'test', repeat('x', 900000))")
    let last = WALSegmentName(timeline: 1, holding: try position(), size: 1 << 20)
    try cluster.stop("immediate")
    let names = try OpenFolder.open(wal).names().filter {
      WALSegmentName($0.string, size: 1 << 20).map { $0.number >= last.number } ?? false
    }
    for name in names { try OpenFolder.open(wal).remove(name) }
    try cluster.start()
    let made = try makeTablespaces()
    let expected = try position()
    let walk = try walk()
    #expect(walk.end >= expected)
    #expect(walk.newTablespaces == made)
    // In vain, had the server not begun anew in the middle of a record.
    let dump = try cluster.run(
      "pg_waldump", ["-p", wal.string, "-s", "\(start)", "-e", "\(expected)"])
    #expect(dump.contains("OVERWRITE_CONTRECORD"))
  }

  @Test("A record that does not follow the one before it is not of this log")
  func stale() throws {
    let made = try makeTablespaces()
    let middle = try position()
    #expect(try walk().newTablespaces == made)
    _ = try makeTablespaces()
    // Its `xl_prev`, as it is where older log lies behind the end of a log that was cut off.
    let segment = WALSegmentName(timeline: 1, holding: middle, size: 1 << 20)
    let file = try OpenFolder.open(wal)
      .file(FilePath(segment.description), .update(permissions: 0o600))
    try file.writeDurably([0xEE], at: middle.position - segment.start.position + 9)
    let walk = try walk()
    #expect(walk.end == middle)
    #expect(walk.newTablespaces == made)
  }

  @Test("A segment that was recycled is not taken for log")
  func recycled() throws {
    _ = try makeTablespaces()
    try write()
    let next = try position()
    let segment = WALSegmentName(timeline: 1, holding: next, size: 1 << 20)
    var walk = WALRecordWalk(start: next, pageSize: 8192)
    walk.enter(segment)
    try OpenFile.open(wal.appending(segment.description)).readAll()
      .withUnsafeBytes { walk.take($0) }
    let end = walk.end
    walk.enter(segment.next)
    let first = WALSegmentName(timeline: 1, holding: start, size: 1 << 20)
    try OpenFile.open(wal.appending(first.description)).readAll()
      .withUnsafeBytes { walk.take($0) }
    #expect(walk.end == end)
    #expect(walk.newTablespaces == [])
  }
}
