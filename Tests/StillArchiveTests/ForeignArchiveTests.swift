import StillModel
import StillSystem
import SystemPackage
import Testing

@testable import StillArchive

/// Archives that others made.
@Suite struct ForeignArchiveTests {
  @Test(arguments: ["gnu", "posix"], ["", "--gzip", "--zstd", "-Ilz4"])
  func gnuTarsArchivesAreRead(_ format: String, _ compression: String) throws {
    let temporary = try TemporaryFolder()
    let source = try RoundTripTests.makeTree(temporary)
    // GNU's own format has neither fractions of seconds nor attributes.
    let isPosix = format == "posix"
    var words = ["tar", "--format=\(format)", "-C", "source", "-cf", "a.tar"]
    if isPosix { words += ["--xattrs", "--xattrs-include=*", "--acls"] }
    if !compression.isEmpty { words.append(compression) }
    let made = try Program.status(of: words + ["."], in: temporary.path)
    #expect(made.status == 0, "\(made.words)")
    let target = try temporary.folder("target")
    _ = try unpack(archive: try temporary.file("a.tar"), into: target)
    if isPosix {
      #expect(try listing(target) == listing(source))
    } else {
      try Program.run("diff", "-r", "--no-dereference", "source", "target", in: temporary.path)
    }
  }

  @Test func globalHeadersHoldForAllMembersAndAreOutdoneByTheirOwn() throws {
    var global = PaxRecords()
    global.add("uname", "everybody")
    global.add("gname", "group")
    var own = PaxRecords()
    own.add("uname", "one")
    let archive =
      extended("g", global) + plainFile("a").encodedHeader() + extended("x", own)
      + plainFile("b").encodedHeader() + plainFile("c").encodedHeader() + end
    let members = try entries(of: archive).map(\.member)
    #expect(members.map(\.path) == ["a", "b", "c"])
    #expect(
      members.map { String(decoding: $0.ownerName, as: UTF8.self) } == [
        "everybody", "one", "everybody",
      ])
    #expect(members.allSatisfy { $0.groupName == Array("group".utf8) })
  }

  @Test func skippableFramesAndManyMembersAreRead() throws {
    let temporary = try TemporaryFolder()
    let tar = try makeArchive(.none) { _ = try $0.add(plainFile("a"), content: sampleBytes(5000)) }
    let skippable: [UInt8] = [0x5A, 0x2A, 0x4D, 0x18, 3, 0, 0, 0, 1, 2, 3]
    for (program, between) in [("zstd", skippable), ("gzip", []), ("lz4", [])] {
      var archive = between
      for piece in [tar[..<700], tar[700..<701], tar[701...]] {
        try temporary.write(Array(piece), to: "piece")
        archive += try Program.run(program, "-c", "piece", in: temporary.path) + between
      }
      #expect(try entries(of: archive).map(\.content) == [sampleBytes(5000)])
    }
  }

  /// Ours say how long they are, others do not.
  @Test(arguments: [("gzip", Compression.gzip(level: 1)), ("lz4", .lz4), ("zstd", .zstd(level: 1))])
  func ourMembersAndThoseOfOthersAreReadTogether(
    _ program: String, _ compression: Compression
  ) throws {
    let temporary = try TemporaryFolder()
    let content = sampleBytes(100_000)
    let tar = try makeArchive(.none) { _ = try $0.add(plainFile("a"), content: content) }
    let own = try CopyPipelineTests.compress(Array(tar[..<50_000]), compression, workers: 2)
    let rest = try CopyPipelineTests.compress(Array(tar[60_000...]), compression, workers: 2)
    try temporary.write(Array(tar[50_000..<60_000]), to: "piece")
    let foreign = try Program.run(program, "-c", "piece", in: temporary.path)
    #expect(try entries(of: own + foreign + rest).map(\.content) == [content])
  }

  @Test func oldHeadersAreRead() throws {
    let temporary = try TemporaryFolder()
    try temporary.write("content", to: "folder/file")
    for format in ["v7", "oldgnu", "ustar"] {
      try Program.run("tar", "--format=\(format)", "-cf", "a.tar", "folder", in: temporary.path)
      let found = try entries(of: try temporary.read("a.tar"))
      #expect(found.map(\.member.kind) == [.folder, .file])
      #expect(found.map(\.content) == [[], Array("content".utf8)])
    }
  }

  private let end = [UInt8](repeating: 0, count: 1024)

  private func extended(_ flag: Character, _ records: PaxRecords) -> [UInt8] {
    var member = TarMember(path: "pax", kind: .other(flag.asciiValue ?? 0), mode: 0o644)
    member.size = UInt64(records.bytes.count)
    return member.encodedHeader() + records.padded
  }
}
