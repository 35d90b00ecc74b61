import StillModel
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

@testable import StillTransfer

/// The rules of what rsync may be told for a cluster (rsync(1)), as it is told.
@Suite struct RsyncOrderTests {
  private static let kinds: [RsyncOrder.Kind] = [
    .update, .compareEverything, .compare(["base/1/1259"]), .audit(only: nil),
    .audit(only: ["base/1/1259"]), .backup(sharing: nil), .backup(sharing: night), .difference,
  ]
  private static let night = RunID(at: CalendarTime(secondsSince1970: 1_795_226_400), salt: 1)

  @Test(arguments: kinds, [true, false]) func whatEveryOrderHasAndHasNot(
    _ kind: RsyncOrder.Kind, _ isLive: Bool
  ) {
    let order = RsyncOrder(
      kind, excluded: ["/a b"], isLive: isLive, remoteShell: ["ssh", "-p", "22"],
      syncsEachFile: true, rateLimit: 50 << 20)
    let words = order.words(to: "target")
    #expect(words.prefix(2) == ["-aHAX", "--numeric-ids"])
    #expect(words.suffix(3) == ["--", "/proc/self/fd/3/", "target"])
    #expect(words.contains("--exclude=/a b"))
    #expect(words.contains("--fsync") == !kind.isAudit)
    #expect(words.contains("--dry-run") == kind.isAudit)
    #expect(words.contains("--bwlimit=51200"))
    #expect(words.contains("--rsh=\"ssh\" \"-p\" \"22\""))
    let forbidden = ["--inplace", "--size-only", "--append", "--update", "--ignore-existing"]
    #expect(!words.contains { word in forbidden.contains(where: word.hasPrefix) })
    let sharing = words.filter { $0.contains("-dest") }
    #expect(
      sharing
        == (kind == .backup(sharing: Self.night)
          ? ["--link-dest=../20261121T020000Z-000001"] : []))
  }

  /// Two files of one size and one second are not equal for that, least of all where the one would become
  /// the other: `--link-dest` without `--checksum` does that.
  @Test func backupsGoByTheirContent() {
    for kind in [RsyncOrder.Kind.backup(sharing: nil), .backup(sharing: Self.night), .difference] {
      let words = RsyncOrder(kind, isLive: false).words(to: "t")
      #expect(words.contains("--checksum") && words.contains("--delete"))
      #expect(words.contains("--dry-run") == (kind == .difference))
      #expect(!words.contains { $0.hasPrefix("--files-from") })
    }
  }

  @Test func whatAnAuditFinds() {
    var report = RsyncReport()
    for line in [
      "*deleting   base/too much", ".d..t...... base/", "<f+++++++++ base/2", "cLc.t...... log",
      ">fc........ base/3", "<fcst...... base/4", ".f...p..... base/5", "cd+++++++++ new/",
      ">fc........ a\\#012b",
    ] {
      #expect(report.take("audit: \(line)") == nil)
    }
    #expect(
      report.differing == [
        "base/too much", "base/2", "log", "base/3", "base/4", "new/", "a\nb",
      ])
    #expect(report.unlike == ["base/3", "a\nb"])
  }

  @Test func pathsThatRsyncTakesForPatternsAreRefused() throws {
    try RsyncOrder.requirePlain("/backup/of the 'night' $(x)")
    for path in ["/new[1]", "/a*", "/a?", "/a\\b"] {
      let failure = #expect(throws: StillError.self) { try RsyncOrder.requirePlain(path) }
      #expect(failure?.status == .usage)
    }
  }

  @Test func onlyWhatSeesEverythingRemoves() {
    func words(_ kind: RsyncOrder.Kind) -> [String] {
      RsyncOrder(kind, isLive: false).words(to: "t")
    }
    #expect(words(.update).contains("--delete"))
    #expect(words(.update).contains("--modify-window=-1"), "times to the nanosecond")
    #expect(words(.compareEverything).contains("--delete"))
    #expect(words(.compareEverything).contains("--checksum"))
    let some = words(.compare(["a"]))
    #expect(some.contains("--checksum") && some.contains("--files-from=-"))
    #expect(!some.contains("--delete"))
    for audit in [words(.audit(only: nil)), words(.audit(only: ["a"]))] {
      #expect(audit.contains("--checksum") && !audit.contains("--delete"))
    }
    #expect(words(.audit(only: ["a"])).contains("--files-from=-"))
  }

  @Test(arguments: [
    (0, true, true), (0, false, true), (24, true, true), (24, false, false), (23, true, false),
    (23, false, false), (25, true, false), (12, true, false), (30, true, false), (1, true, false),
    (255, true, false), (137, true, false),
  ])
  func onlyVanishedFilesOfALiveClusterAreForgiven(
    _ status: Int32, _ isLive: Bool, _ isGood: Bool
  ) throws {
    let order = RsyncOrder(.update, isLive: isLive)
    if isGood {
      try order.judge(status, RsyncReport(), "/data")
    } else {
      let failure = #expect(throws: StillError.self) {
        try order.judge(status, RsyncReport(), "/data")
      }
      #expect(failure?.status == .copying)
      #expect(failure?.message.contains("ended with status \(status)") == true)
    }
  }

  @Test(arguments: [
    ("rsync  version 3.2.7  protocol version 31\n", "3.2.7", true),
    ("rsync  version v3.4.0pre1  protocol version 32", "3.4.0", true),
    ("rsync  version 3.2.3  protocol version 31", "3.2.3", false),
    ("rsync  version 3.10.0  protocol version 31", "3.10.0", true),
    ("openrsync: protocol version 29", "", false), ("", "", false),
  ])
  func versions(_ output: String, _ text: String, _ isGood: Bool) {
    let version = RsyncVersion(output: output)
    #expect((version?.description ?? "") == text)
    #expect(version.map { $0 >= .oldest } ?? false == isGood)
  }

  @Test func whatRsyncSays() {
    var report = RsyncReport()
    #expect(report.take("        32,768   0%    0.00kB/s    0:00:00") == nil)
    #expect(
      report.take("     123456789  45%  101.11MB/s    0:00:12 (xfr#4, to-chk=5/10)") == 123_456_789)
    #expect(
      report.take(
        "  99  1%  1.0kB/s  0:00:00rsync: [receiver] write failed: No space left on device (28)")
        == 99)
    #expect(report.talk == ["rsync: [receiver] write failed: No space left on device (28)"])
    for line in [
      "Number of files: 1234 (reg: 1200, dir: 34)", "Number of regular files transferred: 12",
      "Total transferred file size: 4096 bytes", "Total bytes sent: 5000",
      "Number of deleted files: 3 (reg: 3)", "Total file size: 99999 bytes", "",
      "sent 5,000 bytes  received 35 bytes",
    ] { #expect(report.take(line) == nil) }
    #expect(report.entries == 1234)
    #expect(report.files == 12)
    #expect(report.bytes == 4096)
    #expect(report.sent == 5000)
    #expect(report.removed == 3)
    #expect(report.talk.count == 1)
  }

  /// Names that a shell, rsync's patterns or its options would take for something else.
  @Test func strangeNamesAreNamesOnly() throws {
    let place = try TestFolder(on: .memory)
    let folder = try OpenFolder.open(place.path)
    try folder.makeFolder("source", permissions: 0o700)
    let source = try folder.folder("source")
    let names = [
      "-rf", "--delete", "host:file", "a b", "$(touch x)", "`x`", "*", "[a]", "a\\b", "new\nline",
      "#hash", ";semi", "'", "\"",
    ]
    for name in names {
      let file = try source.file(FilePath(name), .create(permissions: 0o600))
      try file.writeAll(Array(name.utf8))
      try file.close()
    }
    let raw = FilePath(bytes: [0xFF, 0xFE])
    try source.file(raw, .create(permissions: 0o600)).close()
    try folder.makeFolder("left out: *", permissions: 0o700)
    try source.makeFolder("kept*", permissions: 0o700)
    try source.makeFolder("kept too", permissions: 0o700)
    let target = place.path.appending("tar get")
    let rsync = try Rsync.find()
    let excluded = ["[a]", "a\\b", "*"].map { "/" + RsyncOrder.literal($0) }
    _ = try rsync.run(
      RsyncOrder(.update, excluded: excluded, isLive: false), from: source,
      to: target.string + "/", Cancellation())
    let copied = try OpenFolder.open(target)
    let expected = try source.names().filter { !["[a]", "a\\b", "*"].contains($0.string) }
    #expect(try copied.names() == expected)
    // In a list of files these begin comments.
    let comments: [FilePath] = ["#hash", ";semi"]
    for name in comments {
      let file = try source.file(name, .update(permissions: 0o600))
      try file.writeDurably([UInt8(ascii: "X")], at: 0)
    }
    let report = try rsync.run(
      RsyncOrder(.compare(["[a]", "-rf", raw, "new\nline"] + comments), isLive: false),
      from: source,
      to: target.string + "/", Cancellation())
    #expect(report.files == 3)
    for name in comments {
      #expect(try copied.file(name).readAll() == source.file(name).readAll())
    }
    #expect(
      try copied.names()
        == (expected + ["[a]"]).sorted { $0.bytes.lexicographicallyPrecedes($1.bytes) })
  }

  @Test func nothingBeginsAfterACancellation() throws {
    let place = try TestFolder(on: .memory)
    let source = try OpenFolder.open(place.path)
    let cancellation = Cancellation()
    let reason = StillError(.overflow, "it overflowed")
    cancellation.cancel(reason)
    #expect(throws: reason) {
      _ = try Rsync.find().run(
        RsyncOrder(.update, isLive: true), from: source, to: "\(place.path)/target/", cancellation)
    }
    Clock.sleep(milliseconds: 500)
    #expect(try source.names() == [])
  }

  @Test func aCancellationEndsIt() throws {
    let place = try TestFolder(on: .memory)
    let source = try OpenFolder.open(place.path)
    try source.makeFolder("source", permissions: 0o700)
    let inner = try source.folder("source")
    try inner.file("large", .create(permissions: 0o600)).writeAll(
      [UInt8](repeating: 1, count: 8 << 20))
    let cancellation = Cancellation()
    let reason = StillError(.overflow, "it overflowed")
    let thread = try WorkerThread {
      Clock.sleep(milliseconds: 300)
      cancellation.cancel(reason)
    }
    defer { thread.join() }
    // At this rate it would take a minute.
    #expect(throws: reason) {
      _ = try Rsync.find().run(
        RsyncOrder(.update, isLive: true, rateLimit: 128 << 10), from: inner,
        to: place.path.appending("target").string + "/", cancellation)
    }
  }
}
