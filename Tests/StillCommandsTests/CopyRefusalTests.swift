import Foundation
import StillModel
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

/// What a copy to another repository does not begin, and how it fails.
@Suite(.enabled(if: ThrowAwaySSH.program != nil, "there is no sshd here; scripts/sshd says why"))
struct CopyRefusalTests {
  @Test("Places that cannot be reached, or are no repository")
  func places() throws {
    let scene = try CopySite(.ssh)
    let id = try scene.backUp("--format", "mirror")
    let host = "elsewhere"
    let (repository, data) = (scene.site.repository, scene.site.cluster.dataDirectory)
    let filled = try scene.place.folder("filled", owner: FakeHost.owner)
    try Tool.demand("touch", "\(filled)/backup_manifest")
    try Tool.demand("touch", "\(scene.place.path)/file")
    try Tool.demand("chmod", "644", "\(scene.place.path)/file")
    for (target, status, words) in [
      ("nowhere.invalid:/backup", 11, "nowhere.invalid cannot be reached"),
      ("rsync://127.0.0.1:1/data", 11, "rsync ended with status 10"),
      ("\(host):/nowhere/at/all", 11, "on elsewhere there is no /nowhere/at"),
      ("/nowhere/at/all", 11, "on this host there is no /nowhere/at"),
      ("\(host):\(data)", 11, "is no repository: it holds PG_VERSION"),
      ("\(host):\(filled)", 11, "is no repository: it holds backup_manifest"),
      ("\(host):\(scene.place.path)/file", 11, "cannot be listed"),
      ("\(scene.place.path)/file", 11, "file"),
      ("\(host):\(repository)/main", 11, "is no repository: it holds \(id)"),
      (repository, 64, "are not apart"), ("\(repository)/inner", 64, "are not apart"),
      (scene.site.place.path.string, 64, "are not apart"),
      ("\(data)/backups", 11, "lies inside the data directory"),
      ("\(host):\(scene.place.path)/new[1]", 64, "has a [ in it"),
      ("\(host):relative", 64, "--to wants"), ("host name:/y", 64, "--to wants"),
    ] {
      let failure = try scene.failure(scene.copy(to: target), Int32(status))
      #expect(failure.message.contains(words), "\(target): \(failure)")
      // The same before anything is done.
      #expect(try scene.copy(["--dry-run"], to: target).status == Int32(status))
    }
    #expect(
      try scene.failure(scene.copy(id: "20200101T000000Z-000000"), 11).message.contains("no backup")
    )
    let left = try Tool.demand(
      "find", scene.place.path.string, "-newer", "\(scene.place.path)/file", "-type", "d")
    #expect(!left.contains("main"), "\(left)")
  }

  @Test("A daemon without the module, or one that takes nothing")
  func daemon() throws {
    let scene = try CopySite(.daemon)
    try scene.backUp("--format", "mirror")
    let other = scene.target(scene.there).replacing("/data/", with: "/nothing/")
    #expect(
      try scene.failure(scene.copy(to: other), 11).message.contains("rsync ended with status 5"))
    try Tool.demand("mkdir", "\(scene.there)")
    let refusal = try scene.failure(scene.copy(), 11)
    #expect(refusal.further.contains { $0.contains("Permission denied") }, "\(refusal)")
    // One that does not let itself be looked at is none that is empty.
    try TestFolder.give(scene.there, to: FakeHost.owner)
    try scene.demand()
    let record = try #require(
      try Tool.demand("find", scene.there.string, "-name", "backup.json").split(separator: "\n")
        .first)
    try Tool.demand("chmod", "000", String(record))
    let before = try scene.listing(scene.there)
    let denied = try scene.failure(scene.copy(), 11)
    #expect(denied.further.contains { $0.contains("Permission denied") }, "\(denied)")
    #expect(try scene.listing(scene.there) == before)
  }

  @Test("An rsync over there that is too old")
  func oldRsync() throws {
    let scene = try CopySite(.ssh)
    try scene.backUp("--format", "mirror")
    let programs = try scene.place.folder("programs")
    try Tool.demand(
      "sh", "-c",
      "printf '#!/bin/sh\\necho \"rsync  version 3.2.3  protocol version 31\"\\n' >\(programs)/rsync; chmod 755 \(programs)/rsync"
    )
    let ssh = scene.words().last ?? ""
    try Tool.demand(
      "sh", "-c",
      """
      cat >"$1" <<'END'
      #!/bin/bash
      case "${@: -1}" in /bin/sh*) set -- "${@:1:$#-1}" "PATH=\(programs):\\$PATH ${@: -1}" ;; esac
      exec \(ssh) "$@"
      END
      chmod 755 "$1"
      """, "sh", "\(programs)/ssh")
    let failure = try scene.failure(scene.copy(["--ssh", "\(programs)/ssh"]), 11)
    #expect(failure.message.contains("rsync on elsewhere is 3.2.3"), "\(failure)")
  }

  @Test("Backups of another cluster that has the same name")
  func otherCluster() throws {
    let (one, other) = (try CopySite(.folder), try CopySite(.folder))
    try one.backUp("--format", "mirror")
    try other.backUp("--format", "mirror")
    try one.demand()
    let before = try one.listing(one.there)
    let failure = try other.failure(other.copy(to: one.there.string), 11)
    #expect(failure.message.contains("holds backups of another cluster"), "\(failure)")
    #expect(try one.listing(one.there) == before)
  }

  @Test("The repository itself, by another way, is no other one")
  func itself() throws {
    let scene = try CopySite(.ssh)
    try scene.backUp("--format", "mirror")
    let before = try scene.listing(FilePath(scene.site.repository))
    let failure = try scene.failure(
      scene.copy(to: scene.target(FilePath(scene.site.repository))), 64)
    #expect(failure.message.contains("is the repository that backup"), "\(failure)")
    let local = try CopySite(.folder)
    try local.backUp("--format", "mirror")
    let other = try local.place.folder("other", owner: FakeHost.owner)
    try Tool.demand("ln", "-s", "\(local.site.repository)/main", "\(other)/main")
    #expect(try local.copy(to: other.string).status == 64)
    #expect(try scene.listing(FilePath(scene.site.repository)) == before)
  }

  @Test("A folder of the backup's name without a record is not written into")
  func stranger() throws {
    let scene = try CopySite(.ssh)
    let id = try scene.backUp("--format", "mirror")
    try Tool.demand("mkdir", "-p", "\(scene.folder)/\(id)/data")
    try TestFolder.give(scene.there, to: FakeHost.owner)
    let failure = try scene.failure(scene.copy(), 11)
    #expect(failure.message.contains("is no backup: it has no backup.json"), "\(failure)")
    #expect(try Tool.demand("find", scene.there.string, "-type", "f") == "")
  }

  @Test("A damaged record here, and one there, which is no base")
  func damagedRecords() throws {
    let scene = try CopySite(.folder)
    let first = try scene.backUp("--format", "mirror")
    try scene.demand()
    let second = try scene.backUp("--format", "mirror")
    try Tool.demand("sed", "-i", "s/online/0nline/", "\(scene.folder)/\(first)/backup.json")
    let copied = try scene.demand()
    #expect(try #require(copied["plan"] as? [String: Any])["sharedWith"] == nil)
    try scene.verify(second.description)
    let third = try scene.backUp("--format", "mirror")
    try Tool.demand(
      "sed", "-i", "s/online/0nline/", "\(scene.site.repository)/main/\(third)/backup.json")
    #expect(try scene.failure(scene.copy(), 14).message.contains("backup.json was changed"))
  }

  @Test("A disk that has no room, before and while it is filled, keeps what it has")
  func full() throws {
    let scene = try CopySite(.folder)
    let disk = try ThrowAwayFileSystem(["mkfs.ext4", "-q"], size: "120M")
    try disk.run("install -d -o \(FakeHost.owner) -m 700 repo")
    func copy(_ words: [String] = []) throws -> Tool.Outcome {
      try scene.copy(words, to: "\(disk.path)/repo", prefix: disk.inside)
    }
    let first = try scene.backUp("--format", "mirror")
    #expect(try copy().status == 0)
    try scene.site.cluster.sql(
      "CREATE TABLE large AS SELECT i, repeat('x', 500) FROM generate_series(1, 160000) AS i")
    let second = try scene.backUp("--format", "mirror")
    let early = try scene.failure(copy(), 11)
    #expect(early.message.contains("has room for"), "\(early)")
    // Nobody can say what an attempt has brought there.
    try disk.run("install -d -o \(FakeHost.owner) -m 700 repo/main/.copy-\(second)")
    let late = try scene.failure(copy(), 14)
    #expect(late.further.contains { $0.contains("No space left on device") }, "\(late)")
    let names = try disk.run("ls -A repo/main").split(separator: "\n").map(String.init)
    let left = try #require(names.first { $0.hasPrefix(".copy-\(second)-") })
    #expect(Set(names) == [first.description, "latest", left])
    let verified = try PgstillProgram.run(
      ["verify", "latest", "--repo", "\(disk.path)/repo"], prefix: disk.inside)
    #expect(verified.status == 0, "\(verified.output)\(verified.talk)")
    try scene.site.cluster.sql("DROP TABLE large")
    let third = try scene.backUp("--format", "mirror")
    try disk.run("rm -r repo/main/\(left)")
    let copied = try copy()
    #expect(copied.status == 0, "\(copied.talk)")
    #expect(try disk.run("readlink repo/main/latest") == "\(third)\n")
  }
}
