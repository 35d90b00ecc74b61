import StillArchive
import StillModel
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

@testable import StillEngine

/// Configuration outside the data directory, as Debian has it.
@Suite struct ConfigurationTests {
  @Test("It has an archive of its own, includes too, and comes back with --config-dir")
  func outside() throws {
    let host = try FakeHost(etc: true)
    let etc = try #require(host.etc)
    let place = try TestFolder(on: .disk, owner: FakeHost.owner)
    let result = try host.backUp(host.request(place.path.appending("repo")))
    let files = ["extra.conf", "pg_hba.conf", "pg_ident.conf", "postgresql.conf"].map {
      "\(etc)/\($0)"
    }
    #expect(result.record.configuration == files)
    #expect(result.record.missing == [])

    let archive = result.path.appending("config.tar.zst").string
    let unpacked = try TestFolder(on: .disk)
    let tar = try Tool.run(["tar", "-xpf", archive, "-C", unpacked.path.string])
    #expect(tar.status == 0 && tar.talk == "")
    for file in files {
      #expect(
        try Tool.demand("cat", unpacked.path.string + file) == (try Tool.demand("cat", file)))
    }

    let backup = try Repository.open(place.path.appending("repo")).onlyCluster().backup("latest")
    #expect(try verify(backup, workers: 2, Recorder(), Cancellation()).problems == [])
    var request = RestoreRequest(target: place.path.appending("data"), workers: 2)
    request.tablespaceMapping = [(host.tablespace, place.path.appending("space"))]
    let without = try restore(request, of: backup, Recorder(), Cancellation())
    #expect(without.notes.count == 1)
    #expect(without.notes.first?.contains(archive) == true, "it says where the configuration is")

    request.target = place.path.appending("again")
    request.tablespaceMapping = [(host.tablespace, place.path.appending("space again"))]
    request.configurationFolder = place.path.appending("etc")
    let with = try restore(request, of: backup, Recorder(), Cancellation())
    #expect(with.notes == [])
    for file in files {
      #expect(
        try Tool.demand("cat", "\(place.path)/etc\(file)") == (try Tool.demand("cat", file)))
    }
  }

  @Test("What cannot be read is named, and what comes after it is there")
  func unreadable() throws {
    let place = try TestFolder(on: .disk)
    let good = place.path.appending("good.conf")
    try Tool.demand("sh", "-c", "mkdir \(place.path)/folder; echo a = b >\(good)")
    let writer = try ArchiveWriter(
      named: "config", in: OpenFolder.open(place.path), compression: .none, workers: 1,
      checksum: .none)
    let folder = "\(place.path)/folder"
    let missing = try addConfiguration(
      [folder, good.string, "\(folder)/../good.conf", "\(place.path)//good.conf"], to: writer)
    #expect(try writer.finish().files == 1)
    #expect(missing.count == 1)
    #expect(missing.first?.contains("\(folder): cannot read") == true)
    let names = try Tool.demand("tar", "-tf", place.path.appending("config.tar").string)
    #expect(names == "\(good.string.dropFirst())\n")
  }
}
