import StillModel
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

@testable import StillEngine

/// Backups of clusters with links in the place of the server's own folders, from before such were
/// refused, or from elsewhere.
@Suite struct LinkedFolderTests {
  private func restored(_ small: SmallBackup, into place: TestFolder) throws -> RestoreResult {
    var request = RestoreRequest(target: place.path.appending("data"), workers: 2)
    request.tablespaceMapping = [("/space", place.path.appending("space"))]
    return try restore(request, of: small.backup, Recorder(), Cancellation())
  }

  @Test("A restore makes no link that would lead a server into another one's files")
  func everything() throws {
    let small = try SmallBackup(.none, moved: "base")
    let place = try TestFolder(on: .memory)
    let result = try restored(small, into: place)
    let target = try OpenFolder.open(place.path.appending("data"))
    #expect(try target.metadataIfPresent(of: "base") == nil)
    #expect(result.notes.contains { $0.hasPrefix("base was a link") })
    // Nor does a server start on what is left.
    #expect(try target.metadataIfPresent(of: "global/pg_control") == nil)
    #expect(try target.metadataIfPresent(of: "pg_xact/0000") != nil)
  }

  @Test("Without one database of several the others can be had")
  func oneDatabase() throws {
    let small = try SmallBackup(.none, moved: "base/5")
    let place = try TestFolder(on: .memory)
    let result = try restored(small, into: place)
    let target = try OpenFolder.open(place.path.appending("data"))
    #expect(try target.folder("base").names() == [])
    #expect(result.notes.contains { $0.hasPrefix("base/5 was a link") })
    #expect(try target.metadataIfPresent(of: "global/pg_control") != nil)
  }

  @Test("In the place of counters an empty folder does")
  func counters() throws {
    let small = try SmallBackup(.none, moved: "pg_stat")
    let place = try TestFolder(on: .memory)
    let result = try restored(small, into: place)
    let target = try OpenFolder.open(place.path.appending("data"))
    #expect(try target.metadata(of: "pg_stat").kind == .folder)
    #expect(result.notes.contains { $0.hasPrefix("pg_stat was a link") })
    #expect(try target.metadataIfPresent(of: "global/pg_control") != nil)
  }

  @Test("A proof says that it cannot be tried", arguments: ["base", "base/5"])
  func proof(_ path: FilePath) throws {
    let small = try SmallBackup(.none, moved: path)
    let place = try TestFolder(on: .disk)
    let failure = #expect(throws: StillError.self) {
      _ = try prove(
        small.backup, ProofRequest(scratch: place.path, workers: 2), Recorder(), Cancellation())
    }
    #expect(failure?.status == .precondition)
    #expect(failure?.message.contains("\(path)") == true)
    #expect(try OpenFolder.open(place.path).names() == [])
  }
}
