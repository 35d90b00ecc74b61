import Foundation
import StillModel
import StillSystem
import StillTestSupport
import StillTransfer
import SystemPackage
import Testing

@testable import StillEngine

/// Whatever happens to files between two passes, the next one finds it.
@Suite struct TransfersTests {
  /// A folder that is copied twice while its content changes in between.
  private struct Scene {
    let place: TestFolder
    let source: FilePath
    let target: FilePath
    let transfers: Transfers

    init(_ prepare: String, keepsNanoseconds: Bool = true) throws {
      place = try TestFolder(on: .disk)
      source = place.path.appending("source")
      target = place.path.appending("target")
      try Tool.demand("mkdir", "-p", "\(source)/one", "\(source)/two", target.string)
      try Tool.demand("sh", "-c", "cd \(source) && \(prepare)")
      let plan = MigrationPlan(
        id: RunID(at: Clock.now()), dataDirectory: source.string,
        target: .folder(target.string), systemIdentifier: 1,
        places: [
          .init(
            kind: .data, source: source.string, target: target.string, size: 0, files: 0,
            excluded: [])
        ], links: [], control: .commands(stop: "true", start: "true"), stopLimit: 1,
        startLine: nil, finalPass: .changed, finalPassReason: "", mostPasses: 2,
        mostDowntime: nil, onOverrun: .rollback, isResumed: false, isRehearsal: false, advice: [])
      transfers = Transfers(
        plan, try Rsync.find(), to: LocalFiles(), keepsNanoseconds: keepsNanoseconds,
        rateLimit: nil,
        margin: .init(500_000_000))
    }

    func change(_ script: String) throws {
      try Tool.demand("sh", "-c", "cd \(source) && \(script)")
    }

    @discardableResult
    func pass(isLive: Bool, isFull: Bool = false) throws -> MigrationReport.Pass {
      try transfers.pass(
        over: isLive ? .live(Clock.wall(), isSettled: false) : .stopped(nil), isFull: isFull,
        Run(Recorder()))
    }

    func letGrowOld() { Clock.sleep(milliseconds: 600) }

    func expectSame(at location: SourceLocation = #_sourceLocation) throws {
      let difference = try Tool.run(["diff", "-r", source.string, target.string])
      #expect(difference.status == 0, "\(difference.output)", sourceLocation: location)
      let listing = "find . -printf '%P %y %s %m %T@ %l\\n' | sort"
      #expect(
        try Tool.demand("sh", "-c", "cd \(target) && \(listing)")
          == Tool.demand("sh", "-c", "cd \(source) && \(listing)"), sourceLocation: location)
    }
  }

  @Test(
    "The next pass finds every change",
    arguments: [
      // Same size, and the time as it was.
      "touch -r one/a stamp; printf X | dd of=one/a bs=1 seek=3 conv=notrunc status=none; touch -r stamp one/a; rm stamp",
      "touch -d '2020-01-01' one/a; printf Y | dd of=one/a bs=1 seek=5 conv=notrunc status=none; touch -d '2020-01-01' one/a",
      // Another file under the same name, same size and time.
      "cp one/a new; printf Z | dd of=new bs=1 conv=notrunc status=none; touch -r one/a new; mv new one/a",
      // Cut off and grown to its old size.
      "touch -r one/a stamp; size=$(stat -c %s one/a); truncate -s 10 one/a; truncate -s $size one/a; touch -r stamp one/a; rm stamp",
      // Two files, then two folders, that change places, alike in sizes and times.
      "mv one/a x; mv one/b one/a; mv x one/b", "mv one x; mv two one; mv x two",
      // Another name of another file.
      "rm one/a; ln one/b one/a", "rm one/a; ln -s b one/a",
      "rm one/a; mkdir one/a; echo 1 >one/a/a",
      // Gone, new, empty.
      "rm one/a", "rm -r two", "echo new >one/new", "mkdir -p three/four; : >three/four/empty",
      ": >one/a", "chmod 640 one/a", "setfattr -n user.x -v y one/a",
      // By a memory map.
      "python3 -c \"import mmap;f=open('one/a','r+b');m=mmap.mmap(f.fileno(),0);m[7:8]=b'M';m.flush()\"",
    ])
  func finds(_ change: String) throws {
    let scene = try Scene(
      """
      for folder in one two; do for name in a b; do
        echo $folder$name >$folder/$name; yes $folder$name | head -c 100000 >>$folder/$name
        touch -d '2021-05-05 05:05:05.123456789' $folder/$name
      done; done
      """)
    // Else they are new enough to be compared anyway.
    scene.letGrowOld()
    try scene.pass(isLive: true)
    try scene.expectSame()
    try scene.change(change)
    try scene.pass(isLive: false)
    try scene.expectSame()
  }

  @Test("A clock that was set back between two looks makes every file one that can have changed")
  func clockSetBack() throws {
    let place = try TestFolder(on: .disk)
    try Tool.demand("sh", "-c", "cd \(place.path) && echo 1 >a && mkdir b && echo 2 >b/c")
    let folder = try OpenFolder.open(place.path)
    func look(_ clockOffset: Int64, since earlier: FileSurvey? = nil) throws -> FileSurvey {
      try FileSurvey(
        folder, excluding: [], since: earlier, margin: .init(100_000_000), clockOffset: clockOffset,
        isLive: false, Cancellation())
    }
    Clock.sleep(milliseconds: 200)
    let first = try look(1_000_000_000)
    #expect(try look(1_000_000_000, since: first).changed == [])
    #expect(try look(960_000_000, since: first).changed == [], "as much as a clock is slowed down")
    #expect(try look(2_000_000_000, since: first).changed == [], "set forward")
    #expect(Set(try look(900_000_000, since: first).changed) == ["a", "b/c"])
  }

  @Test("A target that keeps whole seconds only gets nothing twice")
  func wholeSeconds() throws {
    let scene = try Scene(
      "yes | head -c 50000 >one/a; echo b >two/b; touch -d '2021-05-05 05:05:05.9' one/a two/b",
      keepsNanoseconds: false)
    scene.letGrowOld()
    try scene.pass(isLive: true)
    try Tool.demand(
      "sh", "-c", "cd \(scene.target) && touch -d '2021-05-05 05:05:05' one/a two/b")
    #expect(try scene.pass(isLive: true).sent == 0)
    // What changed within the second is found by its content.
    try scene.change(
      "printf X | dd of=one/a bs=1 conv=notrunc status=none; touch -d '2021-05-05 05:05:05.9' one/a"
    )
    try scene.pass(isLive: false)
    #expect(try Tool.run(["diff", "-r", scene.source.string, scene.target.string]).status == 0)
  }

  @Test("A write in the same tick of the kernel's clock as the pass before is found")
  func sameTick() throws {
    let scene = try Scene("yes | head -c 50000 >one/a; touch -d '2021-05-05' one/a")
    for round in 0..<30 {
      // Written at once after it was copied, with the time that the copy has.
      try scene.pass(isLive: true)
      let file = try OpenFolder.open(scene.source).folder("one")
        .file("a", .update(permissions: 0o600))
      let before = try file.metadata()
      try file.writeDurably([UInt8(ascii: "A") + UInt8(round % 26)], at: UInt64(round))
      try file.close()
      try OpenFolder.open(scene.source).folder("one").setModified(
        "a", seconds: before.modifiedSeconds, nanoseconds: before.modifiedNanoseconds)
    }
    try scene.pass(isLive: false)
    try scene.expectSame()
  }

  @Test("What was written long before the last pass is not read in the next one")
  func readsNoMore() throws {
    let scene = try Scene("yes | head -c 50000 >one/a; yes | head -c 50000 >one/b")
    scene.letGrowOld()
    try scene.pass(isLive: true)
    try scene.change("echo x >>one/b")
    let pass = try scene.pass(isLive: false)
    #expect(pass.files == 2)
    #expect(pass.compared == 1)
    #expect(pass.sent == 1)
    try scene.expectSame()
  }

  @Test(
    "Files that vanish under a pass are no error while the server runs, and one when it does not")
  func vanishing() throws {
    let scene = try Scene("for n in $(seq 2000); do echo $n >one/$n; done")
    let end = Monitor(false)
    let thread = try WorkerThread { [source = scene.source] in
      var number = 0
      guard let folder = try? OpenFolder.open(source).folder("one") else { return }
      while !end.update({ $0 }) {
        number += 1
        try? folder.file(FilePath("t\(number)"), .create(permissions: 0o600)).close()
        if number > 50 { try? folder.remove(FilePath("t\(number - 50)")) }
      }
    }
    for _ in 0..<4 { try scene.pass(isLive: true) }
    end.update { $0 = true }
    thread.join()
    try scene.pass(isLive: false)
    try scene.expectSame()
  }
}
