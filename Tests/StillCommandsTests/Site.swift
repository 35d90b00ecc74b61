import Foundation
import StillArchive
import StillEngine
import StillModel
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

/// A running cluster, and a repository with a backup of it in every compression, as the program
/// finds them: owned by the cluster's owner. Made once; whoever changes a repository takes a copy.
final class Site: Sendable {
  static let compressions: [Compression] = [.zstd(level: 1), .gzip(level: 6), .none]
  static let shared = Result { try Site() }

  let host: FakeHost
  let place: TestFolder
  let results: [Compression: BackupResult]
  var repository: FilePath { place.path.appending("repo") }
  var dataDirectory: String { host.cluster.dataDirectory.string }

  init() throws {
    host = try FakeHost()
    place = try TestFolder(on: .memory, owner: FakeHost.owner)
    try host.cluster.sql(
      "CREATE TABLE here AS SELECT generate_series(1, 1000) AS n",
      "CREATE TABLE there TABLESPACE elsewhere AS SELECT generate_series(1, 2000) AS n",
      "CREATE ROLE limited LOGIN")
    var results: [Compression: BackupResult] = [:]
    for compression in Site.compressions {
      var request = host.request(place.path.appending("repo"))
      request.compression = compression
      results[compression] = try host.backUp(request)
    }
    self.results = results
    try TestFolder.give(repository, to: FakeHost.owner)
  }

  func result(_ compression: Compression = .zstd(level: 1)) throws -> BackupResult {
    try #require(results[compression])
  }

  func id(_ compression: Compression = .zstd(level: 1)) throws -> String {
    try result(compression).record.id.description
  }
}

/// A copy of the repository with one backup in it, to be damaged.
struct Damaged {
  let place: TestFolder
  let id: String
  let record: BackupRecord
  var repository: String { place.path.appending("repo").string }
  var backup: FilePath { place.path.pushing(FilePath("repo/main/\(id)")) }

  init(_ site: Site, _ compression: Compression = .zstd(level: 1)) throws {
    place = try TestFolder(on: .memory, owner: FakeHost.owner)
    record = try site.result(compression).record
    id = record.id.description
    let from = try site.result(compression).path.string
    try Tool.demand("mkdir", "-p", "\(place.path)/repo/main")
    try Tool.demand("cp", "-a", from, "\(place.path)/repo/main/\(id)")
    try TestFolder.give(place.path, to: FakeHost.owner)
  }

  func archive(_ stem: String) throws -> String {
    try #require(record.archives.first { $0.name.hasPrefix(stem + ".tar") }).name
  }

  /// Changes the byte at an offset; a negative one counts from the end.
  func changeByte(_ name: String, at offset: Int) throws {
    let url = URL(filePath: backup.appending(name).string)
    var bytes = try Data(contentsOf: url)
    bytes[offset < 0 ? bytes.count + offset : offset] ^= 0x41
    try bytes.write(to: url)
  }

  func cut(_ name: String, to share: Double) throws {
    let url = URL(filePath: backup.appending(name).string)
    let bytes = try Data(contentsOf: url)
    try bytes.prefix(Int(Double(bytes.count) * share)).write(to: url)
  }

  func replace(_ name: String, _ old: String, _ new: String) throws {
    let url = URL(filePath: backup.appending(name).string)
    let text = try String(contentsOf: url, encoding: .utf8)
    try #require(text.contains(old))
    try text.replacing(old, with: new, maxReplacements: 1).write(
      to: url, atomically: false, encoding: .utf8)
  }

  /// `pgstill verify`, which has to find something.
  func problems(at location: SourceLocation = #_sourceLocation) throws -> [String] {
    let outcome = try PgstillProgram.run(["verify", id, "--repo", repository, "--json"])
    #expect(outcome.status == 14, sourceLocation: location)
    let backups = try document(outcome)["backups"] as? [[String: Any]]
    let problems = try #require(
      backups?.first?["problems"] as? [String], sourceLocation: location)
    #expect(!problems.isEmpty, sourceLocation: location)
    return problems
  }

  /// `pgstill restore`, which has to fail, and leaves nothing that a server starts on.
  func restoreFailure(at location: SourceLocation = #_sourceLocation) throws -> Refusal {
    let target = place.path.appending("target-\(UInt32.random(in: 0...UInt32.max))")
    let space = target.string + "-space"
    let old = try #require(record.tablespaces.first).target
    let refusal = try refused(
      [
        "restore", id, "--repo", repository, "--target", target.string, "--tablespace-mapping",
        "\(old)=\(space)", "--progress", "none",
      ], 14, again: false, at: location)
    let control = target.pushing("global/pg_control").string
    #expect(!FileManager.default.fileExists(atPath: control), sourceLocation: location)
    return refusal
  }
}

/// How the program said no.
struct Refusal {
  var message: String
  var hint: String?
  var phase: String?
}

/// The one JSON document on standard output.
func document(
  _ outcome: Tool.Outcome, at location: SourceLocation = #_sourceLocation
) throws -> [String: Any] {
  // Anything behind the document, or a second one, is an error to this parser.
  let value = try? JSONSerialization.jsonObject(with: Data(outcome.output.utf8))
  return try #require(
    value as? [String: Any], "\(outcome.output)\n\(outcome.talk)", sourceLocation: location)
}

/// Runs a command that has to fail with `status`, as text and as JSON, and compares the two.
///
/// - Parameter again: false where the first run changes what the second one finds; then there is
///   only the one with JSON.
func refused(
  _ words: [String], _ status: Int32, as user: String? = nil, environment: [String: String] = [:],
  again: Bool = true, at location: SourceLocation = #_sourceLocation
) throws -> Refusal {
  let outcome = try PgstillProgram.run(words + ["--json"], as: user, environment: environment)
  #expect(outcome.status == status, "\(outcome.talk)", sourceLocation: location)
  let found = try document(outcome, at: location)
  #expect(found.keys.sorted() == ["error"], sourceLocation: location)
  let error = try #require(found["error"] as? [String: Any], sourceLocation: location)
  #expect(error["status"] as? Int == Int(status), sourceLocation: location)
  let message = try #require(error["message"] as? String, sourceLocation: location)
  let hint = error["hint"] as? String
  if again {
    let spoken = try PgstillProgram.run(words, as: user, environment: environment)
    #expect(spoken.status == status, "\(spoken.talk)", sourceLocation: location)
    #expect(spoken.output == "", "talk goes to standard error", sourceLocation: location)
    #expect(spoken.talk.contains(message), "\(spoken.talk)", sourceLocation: location)
    if let hint { #expect(spoken.talk.contains("hint: \(hint)"), sourceLocation: location) }
  }
  return Refusal(message: message, hint: hint, phase: error["phase"] as? String)
}
