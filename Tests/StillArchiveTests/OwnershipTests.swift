import Foundation
import StillModel
import StillSystem
import SystemPackage
import Testing

@testable import StillArchive

/// Owners, groups and the bits that go with them: a change of owner takes set-user-id and
/// set-group-id from a file, and a folder with the latter gives its group to what is made in it.
@Suite(.enabled(if: Account.effectiveUser == 0, "only root may give files away"))
struct OwnershipTests {
  private func makeTree(_ temporary: TemporaryFolder) throws -> OpenFolder {
    let root = try temporary.folder("source")
    try root.makeFolder("shared", permissions: 0o700)
    for (name, owner, group, mode) in [
      ("shared/own", "daemon", "daemon", "6755"), ("shared/of the folder", "bin", "sys", "640"),
      ("shared/by number", "54321", "54322", "4711"),
    ] {
      try temporary.write(name, to: "source/\(name)")
      try Program.run("chown", "\(owner):\(group)", name, in: root.path.string)
      try Program.run("chmod", mode, name, in: root.path.string)
    }
    for (name, owner, mode) in [
      ("shared/inner", "bin:daemon", "3771"), ("shared", "daemon:sys", "2770"),
    ] {
      try Program.run("mkdir", "-p", name, in: root.path.string)
      try Program.run("chown", owner, name, in: root.path.string)
      try Program.run("chmod", mode, name, in: root.path.string)
    }
    try Program.run("setfacl", "-m", "u:daemon:rwx,g:bin:r-x", "shared", in: root.path.string)
    try Program.run("setfacl", "-d", "-m", "g:bin:rw-", "shared", in: root.path.string)
    try root.file("shared/own").setExtendedAttribute(
      .init(name: Array("user.note".utf8), value: [1, 2, 0, 3]))
    try root.file("shared/own").setExtendedAttribute(
      .init(name: Array("trusted.note".utf8), value: Array("root's".utf8)))
    return root
  }

  @Test func comesBack() throws {
    let temporary = try TemporaryFolder()
    let source = try makeTree(temporary)
    let name = try RoundTripTests.archive(source, temporary, .zstd(level: 1)).file
    let target = try temporary.folder("target")
    let summary = try unpack(archive: try temporary.file(name), into: target)
    let lines = try listing(source)
    #expect(try listing(target) == lines)
    #expect(summary.ownersNotKept == 0)
    #expect(summary.attributesNotKept == [])
    #expect(lines.contains { $0.contains(" 2770 ") })
    #expect(lines.contains { $0.contains(" 6755 ") })
    #expect(lines.contains { $0.contains("54321:54322") })
  }

  @Test func isReadByGNUTar() throws {
    let temporary = try TemporaryFolder()
    let source = try makeTree(temporary)
    let name = try RoundTripTests.archive(source, temporary, .none).file
    let target = try temporary.folder("target")
    try Program.run(
      "tar", "--xattrs", "--xattrs-include=*", "--acls", "-xpf", name, "-C", "target",
      in: temporary.path)
    #expect(try listing(target) == listing(source))
  }

  @Test func ofGNUTarIsRead() throws {
    let temporary = try TemporaryFolder()
    let source = try makeTree(temporary)
    try Program.run(
      "tar", "--format=posix", "--xattrs", "--xattrs-include=*", "--acls", "-cf", "a.tar", "-C",
      "source", ".", in: temporary.path)
    let target = try temporary.folder("target")
    _ = try unpack(archive: try temporary.file("a.tar"), into: target)
    #expect(try listing(target) == listing(source))
  }
}
