import StillModel
import SystemPackage
import Testing

@testable import StillSystem

@Suite struct MountTableTests {
  private let table = MountTable(
    parsing: Array(
      #"""
      22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
      30 22 253:0 / /srv/pg rw - ext4 /dev/mapper/vg0-data rw
      31 30 253:1 / /srv/pg/main/pg_wal rw - xfs /dev/mapper/vg0-wal rw
      32 22 253:0 /main /bound rw - ext4 /dev/mapper/vg0-data rw
      33 22 253:2 / /with\040blank\134 rw - ext4 /dev/mapper/vg0-b\040c rw
      34 22 0:40 / /srv/pg2 rw master:3 shared:9 - tmpfs tmpfs rw
      not a line of it
      35 22 253:3 / /srv/pg2 rw - ext4 /dev/mapper/vg0-top rw

      """#.utf8))

  private func device(_ minor: UInt32) -> DeviceNumber { DeviceNumber(major: 253, minor: minor) }

  @Test("Every line that is one is read")
  func lines() throws {
    #expect(table.entries.count == 7)
    let first = try #require(table.entries.first)
    #expect(first.mountPoint == "/" && first.kind == "ext4" && first.source == "/dev/vda1")
  }

  @Test("Blanks and backslashes in names are read back")
  func escapes() {
    let entry = table.entries[4]
    #expect(entry.mountPoint == "/with blank\\")
    #expect(entry.source == "/dev/mapper/vg0-b c")
  }

  @Test("A path belongs to the deepest mount of its device")
  func containing() {
    #expect(table.entry(containing: "/srv/pg/main", device: device(0))?.mountPoint == "/srv/pg")
    #expect(
      table.entry(containing: "/srv/pg/main/pg_wal/x", device: device(1))?.mountPoint
        == "/srv/pg/main/pg_wal")
    #expect(table.entry(containing: "/bound/base", device: device(0))?.root == "/main")
    #expect(table.entry(containing: "/srv/pg", device: device(9)) == nil)
    #expect(
      table.entry(containing: "/srv/pgother", device: device(0)) == nil, "not a prefix of letters")
  }

  @Test("What is mounted over another is told apart by its device")
  func over() {
    #expect(table.entry(containing: "/srv/pg2/x", device: device(3))?.kind == "ext4")
    #expect(
      table.entry(containing: "/srv/pg2/x", device: DeviceNumber(major: 0, minor: 40))?.kind
        == "tmpfs")
  }

  @Test("Below a folder are the mounts in it, each point once, the folder itself not")
  func below() {
    #expect(
      table.entries(below: "/srv").map(\.mountPoint) == [
        "/srv/pg", "/srv/pg/main/pg_wal", "/srv/pg2",
      ])
    #expect(table.entries(below: "/srv/pg2") == [])
    #expect(table.entries(below: "/srv").last?.kind == "ext4")
  }

  @Test("This process's own table has a root")
  func current() throws {
    #expect(try MountTable.current().entries.contains { $0.mountPoint == "/" })
  }
}
