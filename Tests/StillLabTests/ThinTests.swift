import Foundation
import StillModel
import StillSystem
import StillTestSupport
import StillVolumes
import SystemPackage
import Testing

extension LabTests {
  /// Thin volumes, and thin and classic ones in one set.
  @Suite(.serialized)
  struct ThinTests {
    @Test(arguments: SnapshotContract.Clause.allCases)
    func theBrokerKeepsForThinVolumes(_ clause: SnapshotContract.Clause) throws {
      try Lab.thinVolumes()
      try Lab.contract(on: "vg2/ta", "vg2/tb").check(clause)
      #expect(try Lab.snapshots() == [])
    }

    @Test(arguments: SnapshotContract.Clause.allCases)
    func theBrokerKeepsForMixedSets(_ clause: SnapshotContract.Clause) throws {
      try Lab.thinVolumes()
      try Lab.contract(on: "vg2/ta", "vg1/tbs").check(clause)
      #expect(try Lab.snapshots() == [])
    }

    @Test(arguments: [["vg2/ta", "vg2/tb"], ["vg2/tb", "vg0/data", "vg2/ta", "vg1/tbs"]])
    func frozenSetsAreOfOneInstant(_ names: [String]) throws {
      try Lab.thinVolumes()
      let places = try names.map { name in
        "\(name)=\(try Lab.folder(on: #require(VolumeName(name))))"
      }
      let trial = try Tool.run([Lab.executable("freeze-trial"), "--windows", "5"] + places)
      print(trial.output)
      #expect(trial.status == 0, "\(trial.output) \(trial.talk)")
      #expect(trial.output.contains("torn: 0 of 5"))
      #expect(try Lab.snapshots() == [])
    }

    enum Death: CaseIterable { case disarmed, frozen, frozenAndInactive }

    @Test(arguments: Death.allCases)
    func whatABrokerThatDiesLeavesIsReleased(_ death: Death) throws {
      try Lab.thinVolumes()
      let names = ["vg2/ta", "vg1/tbs", "vg2/tb"].compactMap { VolumeName($0) }
      let broker = try BrokerClient.start(
        program: Lab.programPath, owner: try Lab.postgresUser())
      let run = RunID(at: Clock.now())
      let made = try broker.prepare(
        run, names.map { SnapshotRequest(origin: $0, size: 32 << 20) },
        folders: names.map { try OpenFolder.open(Lab.folder(on: $0)) })
      if death != .disarmed { _ = try broker.freeze(deadline: 5) }
      try Tool.demand("pkill", "-KILL", "-f", "pgstill broker")
      broker.end()
      if death == .frozenAndInactive {
        // As if it had died between the window and the activation.
        for one in made where one.kind == .thin {
          try Tool.demand("dmsetup", "remove", one.snapshot.deviceName)
        }
      }
      let status = try Lab.pgstill("status")
      #expect(status.status == 0)
      #expect(status.output.contains("run \(run)  DEAD"), "\(status.output)")
      for one in made { #expect(status.output.contains("\(one.snapshot)"), "\(status.output)") }
      let release = try Lab.pgstill("release")
      #expect(release.status == 0, "\(release.talk)")
      #expect(release.output.split(separator: "\n").count == 3, "\(release.output)")
      #expect(try Lab.snapshots() == [])
      #expect(try Lab.pgstill("status").output == "nothing is held\n")
      // The pool is as LVM believes it to be: it makes and removes the next one.
      try Tool.demand("vgck", "vg2")
      try Tool.demand("lvcreate", "-qq", "-y", "-s", "-n", "next", "vg2/ta")
      try Tool.demand("lvremove", "-qq", "-y", "vg2/next")
    }

    @Test func aPoolThatIsNearlyFullIsRefusedWithItsNumbers() throws {
      try Lab.thinVolumes()
      try Tool.demand(
        "lvcreate", "-qq", "-y", "-V", "600M", "-n", "filler", "--thinpool", "vg2/pool")
      // It counts what is written: until little is left of 600M.
      try Tool.demand(
        "dd", "if=/dev/zero", "of=/dev/vg2/filler", "bs=1M", "count=490", "oflag=direct")
      let name = try #require(VolumeName("vg2/ta"))
      let broker = try BrokerClient.start(
        program: Lab.programPath, owner: try Lab.postgresUser())
      let facts = try broker.survey([name])[0]
      let outcome = Result {
        try broker.prepare(
          RunID(at: Clock.now()), [SnapshotRequest(origin: name, size: 0)],
          folders: [OpenFolder.open(Lab.folder(on: name))])
      }
      broker.end()
      try Tool.demand("lvremove", "-qq", "-y", "vg2/filler")
      #expect(facts.kind == .thin && facts.pool?.name == VolumeName("vg2/pool"))
      #expect((facts.pool?.data ?? 0) > 0.8)
      #expect(facts.obstacle?.contains("of 600.0 MiB; the limit is 80 %") == true, "\(facts)")
      #expect(facts.remedy == "Extend it: lvextend --size +SIZE vg2/pool")
      let failure = #expect(throws: StillError.self) { try outcome.get() }
      #expect(failure?.status == .precondition)
      #expect(failure?.hint == facts.remedy)
      #expect(try Lab.snapshots() == [])
    }
  }
}
