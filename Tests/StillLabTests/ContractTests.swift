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
      try Lab.contract(on: "vg0/data", "vg1/tbs").check(clause)
      #expect(try Lab.snapshots() == [])
    }
  }
}

extension Lab {
  /// The contract for the broker and these volumes of the lab.
  static func contract(on names: String...) throws -> SnapshotContract {
    let places = try names.map { name in
      let volume = try #require(VolumeName(name))
      return SnapshotContract.Place(volume: volume, folder: try Lab.folder(on: volume))
    }
    let owner = try Lab.postgresUser()
    return SnapshotContract(places: places, snapshotSize: 64 << 20, isReal: true) { body in
      let broker = try BrokerClient.start(program: Lab.programPath, owner: owner)
      defer { broker.end() }
      try body(broker)
    }
  }
}
