import StillModel
import SystemPackage
import Testing

@testable import StillTransfer

@Suite struct RsyncReportTests {
  @Test("An audit names what differs in its content and in nothing that a write changes")
  func audit() {
    var report = RsyncReport()
    let lines = [
      "audit: >fc........ base/1/a b", ##"audit: <fc........ new\#012line\#377"##,
      "audit: >fc.......x base/1/attributes", "audit: >fcs....... base/1/longer",
      "audit: >fc.t...... base/1/written", "audit: >f+++++++++ base/1/gone",
      "audit: .f...p..... base/1/mode", "audit: cd+++++++++ base/2/", "audit: .d..t...... base/",
    ]
    for line in lines { #expect(report.take(line) == nil) }
    #expect(
      report.unlike == [
        "base/1/a b", FilePath(bytes: Array("new\nline".utf8) + [255]), "base/1/attributes",
      ])
    #expect(report.talk.isEmpty)
  }
}
