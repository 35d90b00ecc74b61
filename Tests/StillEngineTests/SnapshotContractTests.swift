import StillModel
import StillTestSupport
import Testing

/// The fake keeps the promises that the real broker keeps, so what runs over it runs over both.
@Suite struct SnapshotContractTests {
  @Test(arguments: SnapshotContract.Clause.allCases)
  func theFakeKeeps(_ clause: SnapshotContract.Clause) throws {
    let folders = [try TestFolder(on: .disk), try TestFolder(on: .memory)]
    let volumes = [
      try FakeVolume("vg0/data", folders: [folders[0].path]),
      try FakeVolume("vg1/other", folders: [folders[1].path]),
    ]
    let contract = SnapshotContract(
      places: volumes.map { .init(volume: $0.name, folder: $0.folders[0]) },
      snapshotSize: 64 << 20, isReal: false,
      withProvider: { try $0(try FakeSnapshots(volumes)) })
    try contract.check(clause)
  }
}
