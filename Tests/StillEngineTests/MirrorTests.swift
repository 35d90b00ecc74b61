import StillArchive
import StillModel
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

@testable import StillEngine

/// Mirrors of frozen volumes; only the volumes are copies.
@Suite struct MirrorTests {
  @Test("Frozen volumes become a mirror, WAL and configuration from elsewhere with them")
  func frozen() throws {
    let host = try FakeHost(etc: true)
    let etc = try #require(host.etc)
    let place = try TestFolder(on: .disk, owner: FakeHost.owner)
    var request = host.request(place.path.appending("repo"))
    request.format = .mirror
    let first = try host.backUp(request)
    #expect(first.record.consistency == .snapshot)
    #expect(first.record.compression == "none" && first.record.missing == [])
    let second = try host.backUp(request)
    let sharing = try #require(second.record.mirror?.sharing)
    #expect(second.record.mirror?.sharedWith == first.record.id)
    #expect(sharing.linked > second.record.bytesRead / 2)
    let repository = try Repository.open(place.path.appending("repo"))
    for id in [first.record.id, second.record.id] {
      let backup = try repository.onlyCluster().backup(id.description)
      #expect(try verify(backup, workers: 2, Recorder(), Cancellation()).problems == [])
    }

    let backup = try repository.onlyCluster().backup("latest")
    let file = "\(etc)/postgresql.conf"
    #expect(
      try Tool.demand("cat", "\(backup.path)/config\(file)") == (try Tool.demand("cat", file)))
    var restoring = RestoreRequest(target: place.path.appending("data"), workers: 2)
    restoring.tablespaceMapping = [(host.tablespace, place.path.appending("space"))]
    restoring.configurationFolder = try place.folder("etc", owner: FakeHost.owner)
    let before = try OpenFolder.open(place.path.appending("etc")).metadata().mode
    let result = try restore(restoring, of: backup, Recorder(), Cancellation())
    #expect(result.notes == [])
    #expect(try Tool.demand("cat", "\(place.path)/etc\(file)") == (try Tool.demand("cat", file)))
    // A folder that was there is somebody else's.
    #expect(before != 0o700)
    #expect(try OpenFolder.open(place.path.appending("etc")).metadata().mode == before)
  }

  @Test("The forecast of a mirror is the worst of the latest nights, of those that could share")
  func forecast() throws {
    let place = try TestFolder(on: .memory)
    let cluster = ClusterFolder(name: "main", folder: try OpenFolder.open(place.path))
    let small = try SmallBackup(.none)
    func night(_ number: Int64, written: UInt64, alone: Bool = false) throws {
      var record = try small.backup.record()
      let moment = CalendarTime(secondsSince1970: 1_790_000_000 + number)
      record.id = RunID(at: moment, salt: 1)
      record.archives = []
      var sharing = BackupRecord.Mirror.Sharing()
      sharing.written = written
      record.mirror = .init(
        sharedWith: alone ? nil : small.backup.id, sharing: sharing,
        parts: [.init(name: "base", files: 1, bytes: 100, folders: [], links: [], unlisted: [])])
      try cluster.folder.makeFolder(FilePath(record.id.description), permissions: 0o700)
      let folder = try cluster.folder.folder(FilePath(record.id.description))
      try RecordFile.write(record, to: folder.file("backup.json", .create(permissions: 0o600)))
    }
    #expect(cluster.shareOfLatestMirrors() == nil)
    try night(0, written: 100, alone: true)
    #expect(cluster.shareOfLatestMirrors() == nil)
    try night(1, written: 80)
    try night(2, written: 60)
    for number in 3...8 { try night(Int64(number), written: 1) }
    #expect(cluster.shareOfLatestMirrors() == 0.6)
  }

  @Test("Configuration that cannot be written to the mirror is none that cannot be read")
  func configuration() throws {
    let place = try TestFolder(on: .disk)
    let file = place.path.appending("extra.conf")
    try OpenFile.open(file, .create(permissions: 0o600)).writeAll([1])
    let root = try OpenFolder.open(place.folder("mirror"))
    let tree = try MirrorTree(root, earlier: nil, workers: 2)
    let writer = try MirrorWriter(named: "config", in: tree, checksum: .sha256, list: nil)
    let missing = try addConfiguration([place.path.appending("gone.conf").string], to: writer)
    #expect(missing.count == 1)
    let inner = FilePath(root: nil, file.components)
    var above = FilePath("config")
    for component in inner.removingLastComponent().components {
      above.append(component)
      try root.makeFolder(above, permissions: 0o700)
    }
    try root.makeFolder(FilePath("config").pushing(inner), permissions: 0o700)
    let failure = #expect(throws: StillError.self) {
      _ = try addConfiguration([file.string], to: writer)
    }
    #expect(failure?.message.contains("cannot create") == true, "\(String(describing: failure))")
  }

  @Test("A mirror is made in the order in which a copy that is cut short is no cluster")
  func controlFile() throws {
    let temporary = try TestFolder(on: .disk)
    let source = try OpenFolder.open(temporary.folder("source"))
    try source.makeFolder("global", permissions: 0o700)
    for name: FilePath in ["global/pg_control", "zebra"] {
      try source.file(name, .create(permissions: 0o600)).writeAll([1, 2, 3])
    }
    let root = try OpenFolder.open(temporary.folder("mirror"))
    let tree = try MirrorTree(root, earlier: nil, workers: 2)
    let writer = try MirrorWriter(named: "base", in: tree, checksum: .sha256, list: { _ in })
    let exclusions = Exclusions(majorVersion: 15, isCleanlyShutDown: false)
    try writer.add(SourceTree(.dataDirectory(exclusions), root: source))
    #expect(try writer.finish().files == 2)
    let global = try root.folder("data/global")
    #expect(try root.folder("data").metadataIfPresent(of: "zebra") != nil)
    #expect(try global.metadataIfPresent(of: "pg_control") == nil)
    try tree.finish()
    #expect(try global.names() == ["pg_control"])
  }
}
