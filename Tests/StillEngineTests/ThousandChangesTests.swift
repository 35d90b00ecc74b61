import StillArchive
import StillModel
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

/// Whatever byte of a backup is changed, and wherever it is cut off: `verify` finds it and names it.
@Suite struct ThousandChangesTests {
  private static let compressions: [Compression] = [.zstd(level: 1), .gzip(level: 6), .lz4, .none]

  /// PGSTILL_TEST_SEED, else always the same.
  private static var seed: UInt64 {
    Environment.value("PGSTILL_TEST_SEED").flatMap { UInt64($0) } ?? 20_261_121
  }

  /// The files that the lines are about.
  private func named(_ problems: [String], in archive: String) -> Set<String> {
    Set(
      problems.compactMap { line in
        guard line.hasPrefix("\(archive): ") else { return nil }
        let rest = line.dropFirst(archive.count + 2)
        let ends = [" is bad: ", " could not be read", " is missing", " is not in the manifest"]
        let end = ends.compactMap { rest.firstRange(of: $0)?.lowerBound }.min()
        return end.map { String(rest[..<$0]) }
      })
  }

  @Test func aThousandChangedBytesAreFound() throws {
    let backups = try ThousandChangesTests.compressions.map { try SmallBackup($0) }
    let plain = try #require(backups.last)
    var files: [String: [SmallBackup.Placed]] = [:]
    for stem in ["base", "\(SmallBackup.tablespace)", "pg_wal"] {
      files[stem] = try SmallBackup.files(of: try #require(plain.content[stem + ".tar"]))
    }
    #expect(files["base"]?.count == 50)
    #expect(files["base"]?.count { $0.isLink } == 1)
    for backup in backups {
      let name = try #require(backup.names.first)
      let bytes = try #require(backup.content[name])
      #expect(try backup.problems(with: bytes, in: name) == [])
    }
    var random = Repeatable(seed: ThousandChangesTests.seed)
    print("seed: \(ThousandChangesTests.seed)")
    var found = 0
    var (inContent, inFrames) = (0, 0)
    for round in 0..<1000 {
      let backup = backups[round % backups.count]
      let name = try #require(backup.names.randomElement(using: &random))
      var bytes = try #require(backup.content[name])
      let offset = Int.random(in: 0..<bytes.count, using: &random)
      let change = UInt8.random(in: 1...255, using: &random)
      let frame = try backup.frame(of: offset, in: name)
      bytes[offset] ^= change
      let problems = try backup.problems(with: bytes, in: name)
      let what: Comment = "\(backup.compression) \(name) byte \(offset) ^ \(change): \(problems)"
      #expect(problems.contains { $0.contains(name) }, what)
      if problems.contains(where: { $0.contains(name) }) { found += 1 }

      guard let stem = name.split(separator: ".").first, let all = files[String(stem)],
        stem != "pg_wal"
      else { continue }
      let named = named(problems, in: name)
      if backup.compression == .none {
        guard let file = all.first(where: { $0.content.contains(offset) }) else { continue }
        inContent += 1
        let names = SmallBackup.linked.contains(file.path) ? SmallBackup.linked : [file.path]
        #expect(named == names, what)
      } else if let frame {
        let touched = Set(all.filter { $0.touches(frame) }.map(\.path))
        let needed = Set(all.filter { $0.needs(frame) }.map(\.path))
        // A byte of no consequence for the data: the archive is named, and that is all.
        if named.isEmpty {
          #expect(problems.contains { $0.contains("\(name) was changed") }, what)
          continue
        }
        inFrames += 1
        let linked = touched.isDisjoint(with: SmallBackup.linked) ? [] : SmallBackup.linked
        #expect(needed.isSubset(of: named), what)
        #expect(named.isSubset(of: touched.union(linked)), what)
      }
    }
    print("\(found) of 1000 found and named; \(inContent) in contents, \(inFrames) in frames")
    #expect(found == 1000)
    #expect(inContent > 50)
    #expect(inFrames > 150)
  }

  @Test func twoHundredTruncationsAreFound() throws {
    let backups = try ThousandChangesTests.compressions.map { try SmallBackup($0) }
    var random = Repeatable(seed: ThousandChangesTests.seed + 1)
    print("seed: \(ThousandChangesTests.seed + 1)")
    var found = 0
    for round in 0..<200 {
      let backup = backups[round % backups.count]
      let name = try #require(backup.names.randomElement(using: &random))
      let bytes = try #require(backup.content[name])
      // One in ten loses a few bytes only.
      let length =
        round % 10 == 0
        ? bytes.count - Int.random(in: 1...20, using: &random)
        : Int.random(in: 0..<bytes.count, using: &random)
      let problems = try backup.problems(with: Array(bytes[..<length]), in: name)
      let isNamed = problems.contains { $0.contains(name) }
      #expect(isNamed, "\(backup.compression) \(name) cut to \(length): \(problems)")
      if isNamed { found += 1 }
    }
    print("\(found) of 200 truncations found and named")
    #expect(found == 200)
  }
}
