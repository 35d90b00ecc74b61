import StillModel
import StillTestSupport
import StillVolumes
import Testing

extension LabTests {
  /// What the fake promises to the engine's tests, asked of the real broker.
  @Suite(.serialized)
  struct ContractTests {
    @Test(arguments: SnapshotContract.Clause.allCases)
    func theBrokerKeeps(_ clause: SnapshotContract.Clause) throws {
      try Lab.cluster()
      let contract = SnapshotContract(
        places: [
          .init(volume: VolumeName(group: "vg0", volume: "data"), folder: "/mnt/data"),
          .init(volume: VolumeName(group: "vg1", volume: "tbs"), folder: "/mnt/tbs"),
        ], snapshotSize: 64 << 20, isReadOnly: true
      ) { body in
        let broker = try BrokerClient.start(program: Lab.programPath)
        defer { broker.end() }
        try body(broker)
      }
      try contract.check(clause)
      #expect(try Lab.snapshots() == [])
    }
  }
}
