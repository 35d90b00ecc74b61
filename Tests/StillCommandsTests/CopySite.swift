import Foundation
import Glibc
import StillEngine
import StillModel
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

/// A cluster with a repository of its own, and another repository that copies go to.
final class CopySite {
  /// How the other repository is reached.
  enum Way: String, CaseIterable, Sendable {
    case folder, ssh, daemon

    /// Whether something can be renamed there.
    var renames: Bool { self != .daemon }
  }

  let site: OnlineSite
  let way: Way
  let place: TestFolder
  private let ssh: ThrowAwaySSH?
  private let daemon: ThrowAwayRsyncd?

  init(_ way: Way, mungesLinks: Bool = false) throws {
    site = try OnlineSite(["autovacuum": "off"])
    // Room for another version of a row: the file keeps its size when one is changed.
    try site.cluster.sql("DELETE FROM here WHERE n = 3000", "VACUUM here")
    self.way = way
    place = try TestFolder(on: .disk, owner: FakeHost.owner)
    ssh = way == .ssh ? try ThrowAwaySSH() : nil
    daemon = way == .daemon ? try ThrowAwayRsyncd(mungesLinks: mungesLinks) : nil
  }

  /// Where the other repository lies.
  var there: FilePath { (daemon?.root ?? place.path).appending("other repo") }
  var folder: FilePath { there.appending("main") }

  /// What `--to` is given for a path.
  func target(_ path: FilePath) -> String {
    if let daemon { return "\(daemon.url)/\(path.relative(to: daemon.root)?.string ?? "")" }
    return ssh.map { "\($0.host):\(path)" } ?? path.string
  }

  func words(_ id: String = "latest", to target: String? = nil) -> [String] {
    ["copy", id, "--repo", site.repository, "--to", target ?? self.target(there)]
      + (ssh.map { ["--ssh", $0.command] } ?? [])
  }

  func copy(
    _ more: [String] = [], id: String = "latest", to target: String? = nil,
    environment: [String: String] = [:], prefix: [String] = []
  ) throws -> Tool.Outcome {
    try PgstillProgram.run(
      words(id, to: target) + ["--json"] + more, environment: environment, prefix: prefix)
  }

  /// Copies a backup, which has to succeed. - Returns: the one document.
  @discardableResult
  func demand(
    _ id: String = "latest", at location: SourceLocation = #_sourceLocation
  ) throws -> [String: Any] {
    let outcome = try copy(id: id)
    #expect(outcome.status == 0, "\(outcome.output)\(outcome.talk)", sourceLocation: location)
    return try document(outcome, at: location)
  }

  func failure(
    _ outcome: Tool.Outcome, _ status: Int32, at location: SourceLocation = #_sourceLocation
  ) throws -> (message: String, further: [String]) {
    #expect(
      outcome.status == status, "\(outcome.output)\(outcome.talk)", sourceLocation: location)
    let error = try #require(
      try document(outcome)["error"] as? [String: Any], sourceLocation: location)
    return (error["message"] as? String ?? "", error["further"] as? [String] ?? [])
  }

  @discardableResult
  func backUp(_ more: String...) throws -> RunID {
    let outcome = try site.backUp(options: more)
    #expect(outcome.status == 0, "\(outcome.talk)")
    return try site.published().id
  }

  func run(_ verb: String, _ words: String...) throws -> Tool.Outcome {
    try PgstillProgram.run([verb] + words + ["--repo", there.string])
  }

  func verify(_ id: String, at location: SourceLocation = #_sourceLocation) throws {
    let outcome = try run("verify", id)
    #expect(outcome.status == 0, "\(outcome.output)\(outcome.talk)", sourceLocation: location)
  }

  /// Every name, attribute and byte of a folder.
  func listing(_ path: FilePath) throws -> String {
    try Tool.demand(
      "/bin/sh", "-ec",
      "cd \"$1\"; find . -printf '%P %y %i %m %U %G %s %T@ %l\\n' | sort; "
        + "find . -type f -print0 | sort -z | xargs -0 sha256sum", "sh", path.string)
  }

  /// Restores a backup from the other repository, and starts a server on it.
  func restored(_ id: String, in place: TestFolder) throws -> RestoredServer {
    let outcome = try PgstillProgram.run([
      "restore", id, "--repo", there.string, "--target", "\(place.path)/data",
      "--tablespace-mapping", "\(site.tablespace)=\(place.path)/space",
    ])
    #expect(outcome.status == 0, "\(outcome.talk)")
    return try RestoredServer(place.path.appending("data"), like: site.cluster)
  }

  /// Changes a row of the table `here` in a file that keeps its size and its time.
  func changeSecretly() throws {
    let path = FilePath(try site.cluster.sql("SELECT pg_relation_filepath('here')"))
    try site.cluster.sql("CHECKPOINT")
    let before = try #require(
      try FileMetadata.ifPresent(at: site.cluster.dataDirectory.pushing(path)))
    try site.cluster.sql("UPDATE here SET n = n + 1 WHERE n = 1500", "CHECKPOINT")
    try OpenFolder.open(site.cluster.dataDirectory).setModified(
      path, seconds: before.modifiedSeconds, nanoseconds: before.modifiedNanoseconds)
    let after = try #require(
      try FileMetadata.ifPresent(at: site.cluster.dataDirectory.pushing(path)))
    try #require(after.size == before.size)
  }

  /// Where a backup is until it is whole; nil where there is no such folder yet.
  func partial(of id: RunID) throws -> FilePath? {
    let begin = way.renames ? ".copy-\(id)-" : id.description
    return try? OpenFolder.open(folder).names().first { $0.string.hasPrefix(begin) }
      .map { folder.pushing($0) }
  }

  /// Begins to copy, slowly, and kills the program when some files are there.
  func killHalfWay(_ id: RunID) throws {
    let child = try Child.start(
      "/usr/bin/env",
      [PgstillProgram.path()] + words(id.description) + ["--rate-limit", "2M", "--quiet"],
      environment: ["PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"], input: .open("/dev/null"))
    defer {
      kill(child.process, SIGKILL)
      _ = child.wait()
    }
    for _ in 0..<600 {
      let count = try partial(of: id).flatMap {
        try? OpenFolder.open($0.pushing("data/base/1")).names().count
      }
      if let count, count > 30 { return }
      if let status = child.statusIfEnded() { throw Trouble("it ended with \(status)") }
      Clock.sleep(milliseconds: 50)
    }
    throw Trouble("nothing comes to \(folder)")
  }
}
