import Foundation
import StillModel
import StillSystem
import StillTestSupport
import StillVolumes
import SystemPackage
import Testing

@testable import StillEngine

extension LabTests {
  /// Which files can differ from their snapshot, by the snapshot's own list: every change is found, and what
  /// was not changed is not compared.
  @Suite(.serialized)
  struct FrozenFilesTests {
    /// Scripts in a folder with the files a, b, c (160 KiB each, of 2021), hole (a block, then nothing), tail,
    /// and the folders one and two with a file x each; and which files each changes.
    private static let changes: [(script: String, changed: Set<String>)] = [
      // See below.
      ("true", ["b"]),
      // Same size, and the time of modification as it was.
      ("printf X | dd of=a bs=1 seek=70000 conv=notrunc status=none; touch -d \(then) a", ["a"]),
      // The same bytes again: a server that sets hint bits twice.
      (
        "dd if=b of=b.new bs=64k status=none; dd if=b.new of=b conv=notrunc status=none; rm b.new",
        ["b"]
      ),
      // Another file under the same name.
      ("cp c c.new; touch -d \(then) c.new; mv c.new c", ["c"]),
      // Cut off and grown.
      ("truncate -s 10 a; truncate -s 163840 a; touch -d \(then) a", ["a"]),
      ("printf X | dd of=hole bs=1 seek=90000 conv=notrunc status=none", ["hole"]),
      ("printf X >>tail", ["tail"]), ("rm a", []), ("echo new >new", ["new"]),
      ("mv a x; mv b a; mv x b", ["a", "b"]),
      ("mv one x; mv two one; mv x two", ["one/x", "two/x"]),
      // By a memory map.
      (
        "python3 -c \"import mmap;f=open('b','r+b');m=mmap.mmap(f.fileno(),0);m[9:10]=b'M';m.flush()\"",
        ["b"]
      ),
      // Past the page cache.
      ("dd if=/dev/zero of=c bs=4096 count=1 seek=3 oflag=direct conv=notrunc status=none", ["c"]),
    ]
    private static let then = "'2021-05-05 05:05:05.123456789'"

    @Test(arguments: ["vg0/data", "vg1/tbs"])
    func everyChangeIsFoundAndNothingElse(on volume: String) throws {
      try Lab.cluster()
      let volume = try #require(VolumeName(volume))
      let folder = try Lab.folder(on: volume).appending(UUID().uuidString)
      try Tool.demand("mkdir", folder.string)
      let owner = try Lab.postgresUser()
      for index in Self.changes.indices {
        let place = folder.appending("\(index)")
        func run(_ script: String) throws {
          try Tool.demand("sh", "-ec", "cd \(place) && \(script)")
        }
        try Tool.demand("mkdir", place.string)
        try run(
          """
          mkdir one two; for name in a b c one/x two/x; do yes $name | head -c 163840 >$name; done
          printf begin >hole; truncate -s 163840 hole; head -c 5000 /dev/urandom >tail
          for name in a b c hole tail one/x two/x; do touch -d \(Self.then) $name; done
          """)
      }
      // Nothing of it is so new that it counts as being written.
      Clock.sleep(milliseconds: 1100)

      let broker = try BrokerClient.start(program: Lab.programPath, owner: owner)
      defer { broker.end() }
      let moment = Clock.wall()
      _ = try broker.prepare(
        RunID(at: Clock.now()), [.init(origin: volume, size: 64 << 20)],
        folders: [OpenFolder.open(Lab.folder(on: volume))])
      defer { _ = try? broker.release() }
      _ = try broker.freeze(deadline: 5)
      let root = try #require(try broker.open().first)
      defer { root.close() }
      let frozen = try FrozenFiles(
        root.folder(FilePath("trial").appending(folder.lastComponent.map { [$0] } ?? [])),
        excluding: [], frozen: moment, Cancellation())

      for (index, change) in Self.changes.enumerated() {
        try Tool.demand("sh", "-ec", "cd \(folder)/\(index) && \(change.script)")
      }
      // What no time tells of: nothing but the volume itself is written to, well within the file: a block
      // may be smaller than what can be written there at once.
      let extents = try OpenFile.open(folder.appending("0/b")).extents(syncing: true)
      let physical = try #require(extents?.first?.physical)
      try Tool.demand(
        "dd", "if=/dev/zero", "of=/dev/\(volume)", "bs=4096", "count=1", "oflag=direct,seek_bytes",
        "seek=\((physical + 4095) / 4096 * 4096)", "conv=notrunc", "status=none")
      try OpenFolder.open(folder).syncFileSystem()
      let written = try #require(try broker.overwritten().first ?? nil)
      let survey = try FileSurvey(
        OpenFolder.open(folder), excluding: [], proof: .init(frozen: frozen, written: written),
        isLive: false, Cancellation())
      // Files that share a chunk change together.
      let blockSize = try Tool.demand("stat", "-f", "-c", "%S", folder.string)
      let sharesNone = UInt64(blockSize.dropLast()) ?? 0 >= written.chunkSize
      var others = 0
      for (index, change) in Self.changes.enumerated() {
        let found = Set(
          survey.changed.map(\.string).filter { $0.hasPrefix("\(index)/") }
            .map { String($0.dropFirst("\(index)/".count)) })
        #expect(found.isSuperset(of: change.changed), "\(change.script): \(found)")
        others += found.subtracting(change.changed).count
      }
      #expect(others <= (sharesNone ? 0 : Self.changes.count), "of \(survey.files)")
      #expect(survey.files > 80)
    }
  }
}
