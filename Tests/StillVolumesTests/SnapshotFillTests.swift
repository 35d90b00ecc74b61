import StillModel
import Testing

/// The status lines of dm-snapshot, as drivers/md/dm-snap.c writes them.
@Suite struct SnapshotFillTests {
  private func fill(_ status: String) -> SnapshotFill {
    let name = VolumeName(group: "vg0", volume: "data")
    return SnapshotFill(origin: name, snapshot: name, status: status)
  }

  @Test("Sectors used, sectors there and sectors of metadata")
  func numbers() {
    let found = fill("24/65536 16")
    #expect(found.state == .valid)
    #expect(found.used == 24 * 512)
    #expect(found.size == 65536 * 512)
    #expect(fill("32768/65536 16").share == 0.5)
    #expect(fill("0/65536 16").state == .valid, "a store that is empty")
    #expect(fill("65536/65536 512").share == 1, "full to the brim, and still valid")
  }

  @Test(
    "The kernel's words for a snapshot that is lost",
    arguments: ["Invalid", "Overflow", "Merge failed"])
  func invalid(_ word: String) {
    #expect(fill(word).state == .invalid)
    #expect(fill(word).share == 0)
  }

  @Test(
    "What it does not say is unknown, never valid",
    arguments: ["Unknown", "", "error", "24", "24/", "/65536", "a/b 16", "1/2/3 4", "-1/5 0"])
  func unknown(_ text: String) {
    #expect(fill(text).state == .unknown)
  }

  @Test("A release that left something says what, why, and what to do")
  func release() throws {
    let name = VolumeName(group: "vg0", volume: "data_still_x")
    #expect(ReleaseReport(removed: [name]).failure == nil)
    let failure = try #require(
      ReleaseReport(left: [.init(snapshot: name, reason: "it is open")]).failure)
    #expect(failure.status == .leftBehind)
    #expect(failure.message.contains("vg0/data_still_x (it is open)"))
    #expect(failure.hint?.contains("pgstill release") == true)
  }

  @Test("Window and skew are counted over all volumes")
  func window() {
    func volume(_ suspend: Double, _ resume: Double) -> FreezeReport.Volume {
      let name = VolumeName(group: "vg0", volume: "v")
      return .init(
        origin: name, snapshot: name, suspend: Span(begin: suspend, end: suspend + 1),
        take: Span(begin: 10, end: 11), resume: Span(begin: resume, end: resume + 1))
    }
    let report = FreezeReport(
      beganMicroseconds: 1_795_226_400_999_999,
      volumes: [volume(0, 14), volume(2, 12), volume(5, 13)])
    #expect(report.window == 15)
    // From 0, where the first began, to 6, where the last was done.
    #expect(report.skew == 6)
    #expect(report.volumes[1].held == 11)
    #expect(report.at.iso8601 == "2026-11-21T02:00:00Z")
    let one = FreezeReport(beganMicroseconds: 0, volumes: [volume(0, 14)])
    #expect(one.skew == 0 && one.window == 15)
    let nothing = FreezeReport(beganMicroseconds: 0, volumes: [])
    #expect(nothing.window == 0 && nothing.skew == 0)
  }
}
