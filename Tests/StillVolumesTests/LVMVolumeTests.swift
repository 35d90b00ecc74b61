import StillModel
import Testing

@testable import StillVolumes

/// LVM's own reports, `lvs --reportformat json --units b --nosuffix`.
@Suite struct LVMVolumeTests {
  private func row(_ attributes: String = "-wi-ao----", _ change: [String: String] = [:]) -> String
  {
    var fields = [
      "vg_name": "vg0", "lv_name": "data", "lv_size": "1073741824", "segtype": "linear",
      "lv_attr": attributes, "origin": "", "pool_lv": "", "vg_free": "2147483648",
      "vg_extent_size": "4194304", "lv_tags": "",
    ]
    fields.merge(change) { $1 }
    return "{" + fields.map { "\"\($0)\":\"\($1)\"" }.joined(separator: ", ") + "}"
  }

  private func parse(_ rows: String...) throws -> [LVMVolume] {
    try LVMVolume.parse(report: "{\"report\": [{\"lv\": [\(rows.joined(separator: ","))]}]}")
  }

  @Test("A row is read in bytes")
  func read() throws {
    let volume = try #require(try parse(row()).first)
    #expect(volume.name == VolumeName("vg0/data"))
    #expect(volume.size == 1 << 30)
    #expect(volume.groupFree == 2 << 30)
    #expect(volume.extentSize == 4 << 20)
    #expect(volume.tags == [])
    #expect(volume.facts().obstacle == nil)
    #expect(volume.facts().segmentType == "linear")
  }

  @Test("A volume of several segments is one volume")
  func segments() throws {
    let rows = try parse(row(), row(), row("-wi-a-----", ["lv_name": "other"]))
    #expect(rows.map(\.name.volume) == ["data", "other"])
  }

  @Test("Tags are told apart")
  func tags() throws {
    let tags = "pgstill,pgstill.run=20261121T020000Z-1a2b3c"
    let volume = try #require(
      try parse(row("swi-a-s---", ["lv_tags": tags, "origin": "data"])).first)
    #expect(volume.tags == ["pgstill", "pgstill.run=20261121T020000Z-1a2b3c"])
    #expect(RunTag.run(in: volume.tags)?.description == "20261121T020000Z-1a2b3c")
    #expect(volume.origin == "data")
  }

  @Test("A tag that is not quite ours is nobody's run")
  func strangeTags() {
    #expect(RunTag.run(in: []) == nil)
    #expect(
      RunTag.run(in: ["pgstill", "pgstill.run=yesterday", "run=20261121T020000Z-1a2b3c"]) == nil)
    let run = RunID("20261121T020000Z-1a2b3c")
    #expect(run.map(RunTag.of) == "pgstill.run=20261121T020000Z-1a2b3c")
  }

  @Test(
    "What cannot be snapshotted says why",
    arguments: [
      ("-wi-------", "not active"), ("swi-a-s---", "a snapshot itself"),
      ("Swi-I-s---", "not active"), ("Owi-aos---", "merged"),
      ("twi-aotz--", "part of another"), ("Twi-ao----", "part of another"),
      ("ewi-ao----", "part of another"), ("vwi-ao----", "part of another"), ("", "does not say"),
    ])
  func obstacles(_ attributes: String, _ reason: String) throws {
    let volume = try #require(try parse(row(attributes)).first)
    #expect(
      volume.facts().obstacle?.contains(reason) == true, "\(volume.facts().obstacle ?? "nothing")")
  }

  @Test(
    "What can be snapshotted has no obstacle",
    arguments: ["-wi-ao----", "-wi-a-----", "owi-aos---", "mwi-aom---", "rwi-aor---", "Cwi-aoC---"])
  func ordinary(_ attributes: String) throws {
    #expect(try parse(row(attributes)).first?.facts().obstacle == nil)
  }

  @Test(
    "A kind of volume that was never tried is refused, with a way out",
    arguments: [
      ("raid1", "a RAID volume", "below LVM"), ("mirror", "a RAID volume", "below LVM"),
      ("cache", "a cached volume", "lvconvert --uncache vg0/data"),
      ("writecache", "a cached volume", "lvconvert --uncache"),
      ("vdo", "a VDO volume", "--consistency online"), ("new", "not known", "--consistency online"),
    ])
  func untried(_ type: String, _ reason: String, _ remedy: String) throws {
    let facts = try #require(try parse(row("-wi-ao----", ["segtype": type])).first).facts()
    #expect(
      facts.obstacle?.contains(reason) == true && facts.obstacle?.contains("(\(type))") == true)
    #expect(facts.remedy?.contains(remedy) == true)
    #expect(facts.obstacleIsLasting)
  }

  @Test("A volume that is not active is no kind that can never be frozen")
  func passing() throws {
    let facts = try #require(try parse(row("-wi-------")).first).facts()
    #expect(facts.obstacle == "it is not active")
    #expect(!facts.obstacleIsLasting)
  }

  @Test("Without the kernel's snapshot target there is no classic snapshot")
  func noTarget() throws {
    let volume = try #require(try parse(row()).first)
    #expect(volume.facts(hasSnapshotTarget: true).obstacle == nil)
    let facts = volume.facts(hasSnapshotTarget: false)
    #expect(facts.obstacle == "the kernel has no snapshot target")
    #expect(facts.remedy?.contains("modprobe dm_snapshot") == true)
  }

  @Test("Rows without a name or a size, and names that LVM does not allow, are not taken")
  func strangeRows() throws {
    #expect(try parse(row("-wi-ao----", ["lv_name": "[hidden]"])).isEmpty)
    #expect(try parse(row("-wi-ao----", ["lv_size": "1.00g"])).isEmpty)
    #expect(try parse("{}").isEmpty)
  }

  @Test("A report without volumes is empty")
  func empty() throws {
    #expect(try LVMVolume.parse(report: "{\"report\": [{\"lv\": []}]}").isEmpty)
    #expect(try LVMVolume.parse(report: "{\"report\": []}").isEmpty)
    #expect(try LVMVolume.parse(report: "{\"report\": [{}]}").isEmpty)
  }

  @Test("What is no report is a failure of the volumes", arguments: ["", "  LV   VG", "{", "[]"])
  func noReport(_ text: String) throws {
    let failure = #expect(throws: StillError.self) { try LVMVolume.parse(report: text) }
    #expect(failure?.status == .volumes)
  }
}
