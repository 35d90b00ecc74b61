import StillModel
import Testing

@testable import StillVolumes

/// The status lines of dm-thin, as drivers/md/dm-thin.c writes them.
@Suite struct ThinPoolTests {
  private let name = VolumeName(group: "vg0", volume: "data")

  private func pool(_ text: String) -> ThinPoolStatus? { ThinPoolStatus(text, blockSize: 65536) }

  private let healthy =
    "3 118/1024 825/14528 - rw no_discard_passdown queue_if_no_space - 256 "

  @Test("A pool tells its use in blocks")
  func read() throws {
    let status = try #require(pool(healthy))
    #expect(status.usedData == 825 * 65536)
    #expect(status.data == 14528 * 65536)
    #expect(status.metadataShare == 118.0 / 1024)
    #expect(status.trouble == nil)
  }

  @Test(
    "A pool that takes in no more says why",
    arguments: [
      (
        "3 118/1024 14528/14528 - out_of_data_space no_discard_passdown queue_if_no_space - 256",
        "room"
      ),
      ("3 118/1024 825/14528 - ro no_discard_passdown error_if_no_space - 256", "read-only"),
      ("3 118/1024 825/14528 - rw no_discard_passdown error_if_no_space needs_check 256", "check"),
      ("3 118/1024 825/14528 - odd no_discard_passdown error_if_no_space - 256", "odd"),
      ("Fail", "failed"), ("Error", "failed"),
    ])
  func trouble(_ text: String, _ word: String) {
    #expect(pool(text)?.trouble?.contains(word) == true)
  }

  @Test(
    "What is no status is none",
    arguments: [
      "", "3", "3 118/1024", "3 118 825/14528 - rw", "3 a/b 825/14528 - rw", "3 1/0 1/0 - rw",
    ])
  func noStatus(_ text: String) { #expect(pool(text) == nil) }

  private func fill(_ thin: String?, _ pool: ThinPoolStatus?) -> SnapshotFill {
    SnapshotFill(origin: name, snapshot: name, thin: thin, pool: pool)
  }

  @Test("A thin snapshot fills its pool, and is worth as much as that")
  func fills() throws {
    let status = try #require(pool(healthy))
    let good = fill("70016 819199", status)
    #expect(good.state == .valid)
    #expect(good.used == status.usedData && good.size == status.data)
    #expect(good.metadata == status.metadataShare)
    #expect(fill("0 -", status).state == .valid, "nothing is mapped yet")
    #expect(fill("Fail", status).state == .invalid)
    #expect(fill("70016 819199", pool("Fail")).state == .invalid)
    #expect(fill(nil, status).state == .unknown)
    #expect(fill("70016 819199", nil).state == .unknown)
  }

  private func obstacle(_ attributes: String, _ status: ThinPoolStatus?) throws -> SnapshotObstacle?
  {
    let report = """
      {"report": [{"lv": [{"vg_name":"vg0", "lv_name":"data", "lv_size":"1073741824",
      "segtype":"thin", "lv_attr":"\(attributes)", "pool_lv":"pool", "thin_id":"7"}]}]}
      """
    let volume = try #require(try LVMVolume.parse(report: report).first)
    #expect(volume.kind == .thin && volume.thinNumber == 7)
    #expect(volume.poolName == VolumeName("vg0/pool"))
    return SnapshotObstacle.of(volume, pool: status)
  }

  private func pool(data: UInt64, metadata: Double) -> ThinPoolStatus {
    ThinPoolStatus(usedData: data << 20, data: 1000 << 20, metadataShare: metadata)
  }

  @Test("A pool up to the limit is no obstacle, beyond it is one with its numbers")
  func limits() throws {
    #expect(try obstacle("Vwi-aotz--", pool(data: 800, metadata: 0.8)) == nil)
    let data = try obstacle("Vwi-aotz--", pool(data: 840, metadata: 0.1))
    #expect(
      data?.reason == "its pool vg0/pool is 84 % full, 840.0 MiB of 1000.0 MiB; the limit is 80 %")
    #expect(data?.remedy.contains("lvextend --size") == true)
    let metadata = try obstacle("Vwi-aotz--", pool(data: 100, metadata: 0.81))
    #expect(
      metadata?.reason == "its pool vg0/pool has used 81 % of its metadata; the limit is 80 %")
    #expect(metadata?.remedy.contains("--poolmetadatasize") == true)
  }

  @Test("A pool that is not well, or silent, is an obstacle, and so are classic snapshots")
  func others() throws {
    #expect(try obstacle("Vwi-aotz--", pool("Fail"))?.reason.contains("failed") == true)
    #expect(try obstacle("Vwi-aotz--", nil)?.reason.contains("does not answer") == true)
    let fine = pool(data: 100, metadata: 0.1)
    #expect(try obstacle("owi-aotz--", fine)?.reason.contains("classic snapshots") == true)
    #expect(try obstacle("Vwi---tz-k", fine)?.reason == "it is not active")
  }
}
