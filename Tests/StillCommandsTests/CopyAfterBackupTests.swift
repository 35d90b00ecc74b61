import Foundation
import Glibc
import StillEngine
import StillModel
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

/// `backup --copy-to`: the copy is made when the backup is published, and what becomes of it takes nothing
/// from the backup.
@Suite(.enabled(if: ThrowAwaySSH.program != nil, "there is no sshd here; scripts/sshd says why"))
struct CopyAfterBackupTests {
  /// The words that make a backup, and a copy of it.
  private func words(_ scene: CopySite, to target: String? = nil) -> [String] {
    // What `copy` is told of the other repository, from `--to` on.
    let more = scene.words(to: target).drop { $0 != "--to" }.dropFirst()
    return scene.site.words(["--format", "mirror", "--copy-to"] + more)
  }

  @Test("Every night is in both repositories", arguments: CopySite.Way.allCases)
  func nights(_ way: CopySite.Way) throws {
    let scene = try CopySite(way)
    for night in 1...2 {
      let outcome = try PgstillProgram.run(
        words(scene) + ["--json"], environment: scene.site.environment())
      #expect(outcome.status == 0, "\(outcome.output)\(outcome.talk)")
      let copy = try #require(try document(outcome)["copy"] as? [String: Any])
      let result = try #require(copy["result"] as? [String: Any])
      #expect(try #require(result["files"] as? Int) > 900 || night == 2)
      #expect(try #require(result["files"] as? Int) < 100 || night == 1)
    }
    let id = try scene.site.published().id
    #expect(try Tool.demand("ls", scene.folder.string).contains(id.description))
    #expect(try scene.run("verify", "--all").status == 0)
  }

  @Test("A copy that fails is named, with what makes up for it; the backup is there")
  func failure() throws {
    let scene = try CopySite(.folder)
    let target = "\(scene.place.path)/not mounted/repo"
    let outcome = try PgstillProgram.run(
      words(scene, to: target) + ["--json"], environment: scene.site.environment())
    #expect(outcome.status == 3, "\(outcome.talk)")
    let found = try document(outcome)
    let id = try scene.site.published().id
    #expect((found["backup"] as? [String: Any])?["id"] as? String == id.description)
    let error = try #require((found["copy"] as? [String: Any])?["error"] as? [String: Any])
    let message = try #require(error["message"] as? String)
    #expect(message.contains("the backup is published, but is not at"), "\(message)")
    #expect(message.contains("there is no \(scene.place.path)/not mounted"), "\(message)")
    #expect(outcome.talk.contains(message), "\(outcome.talk)")
    // As it says.
    let line = try #require(
      outcome.talk.split(separator: "\n").first { $0.contains("make it up with: pgstill ") })
    let again = try #require(line.split(separator: "pgstill ").last)
    try Tool.demand("mkdir", "\(scene.place.path)/not mounted")
    try TestFolder.give(scene.place.path.appending("not mounted"), to: FakeHost.owner)
    let copied = try Tool.run(["sh", "-c", "\(try PgstillProgram.path()) \(again)"])
    #expect(copied.status == 0, "\(copied.talk)")
    let verified = try PgstillProgram.run(["verify", id.description, "--repo", target])
    #expect(verified.status == 0, "\(verified.output)\(verified.talk)")
  }

  @Test("A signal while it copies ends the copy, not the backup")
  func interrupted() throws {
    let scene = try CopySite(.ssh)
    let held = try HeldProgram(
      words(scene) + ["--quiet"], at: "transfer.begin", in: scene.place,
      environment: scene.site.environment())
    let (status, talk) = try held.goOnUntil(SIGTERM, after: 1)
    #expect(status == 128 + SIGTERM, "\(talk)")
    #expect(talk.contains("the backup is published, but is not at"), "\(talk)")
    let verified = try PgstillProgram.run(
      ["verify", "latest", "--repo", scene.site.repository])
    #expect(verified.status == 0, "\(verified.output)\(verified.talk)")
    #expect(try scene.run("verify", "latest").status == 11)
  }

  @Test("What is no target is refused before anything is done")
  func usage() throws {
    let scene = try CopySite(.folder)
    let outcome = try PgstillProgram.run(
      words(scene, to: "host:relative") + ["--json"], environment: scene.site.environment())
    #expect(outcome.status == 64, "\(outcome.talk)")
    #expect(try Tool.demand("ls", "-A", scene.site.repository) == "")
  }
}
