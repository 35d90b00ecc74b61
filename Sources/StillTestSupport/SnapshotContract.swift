import StillModel
import StillSystem
import StillVolumes
import SystemPackage

/// What every `SnapshotProvider` owes to its callers, clause by clause, for the fake and for the
/// real one: what holds for one of them only would be a test of nothing.
public struct SnapshotContract: Sendable {
  /// A volume, and a folder of its mounted file system where files can be made.
  public struct Place: Sendable {
    public var volume: VolumeName
    public var folder: FilePath

    public init(volume: VolumeName, folder: FilePath) {
      self.volume = volume
      self.folder = folder
    }
  }

  /// The places; at least two, on different volumes.
  public var places: [Place]
  /// In bytes, of each COW store.
  public var snapshotSize: UInt64
  /// False for a provider whose pictures are folders, which root can write to, and have no chunks.
  public var isReal: Bool
  /// Gives a fresh provider to `body`, and ends it.
  public var withProvider: @Sendable (_ body: (any SnapshotProvider) throws -> Void) throws -> Void

  public init(
    places: [Place], snapshotSize: UInt64, isReal: Bool,
    withProvider: @escaping @Sendable ((any SnapshotProvider) throws -> Void) throws -> Void
  ) {
    self.places = places
    self.snapshotSize = snapshotSize
    self.isReal = isReal
    self.withProvider = withProvider
  }

  public enum Clause: String, Sendable, CaseIterable, CustomStringConvertible {
    case surveyOrder = "a survey answers in the order of the question"
    case surveyOfNothing = "a survey of no volume answers nothing"
    case unknownVolume = "a volume that is not there is a failure of the volumes"
    case makeWayAlone = "nobody is in the way of a run that is alone"
    case makeWayWithStrangersFolder = "way is made only for whoever has a folder on each volume"
    case prepareUnknown = "a set with an unknown volume leaves nothing behind"
    case prepareFacts = "a prepared snapshot tells its origin, its run and its size"
    case prepareTwice = "a second set is refused and does the first no harm"
    case prepareWithStrangersFolder = "a set needs a folder on each of its volumes"
    case freezeUnprepared = "there is nothing to freeze before a set is prepared"
    case freezeTwice = "a set is frozen once"
    case openUnfrozen = "there is nothing to open before the freeze"
    case windowHoldsTogether = "every origin is suspended when the first snapshot is taken"
    case content = "a frozen file shows what it held at the freeze"
    case contentAfterPrepare = "what is written after the preparation is in the picture"
    case filledNew = "a fresh snapshot is valid and nearly empty"
    case extend = "a frozen classic snapshot can be made larger, and stays what it is"
    case extendUnfrozen = "nothing is extended that is not frozen"
    case extendWithoutRoom =
      "an extension beyond the room of the group is refused and harms nothing"
    case filledByWrites = "a snapshot fills when its origin is written to"
    case overwritten = "what is written after the freeze is listed, and what is not is not"
    case overwrittenUnfrozen = "nothing is listed before the freeze"
    case readOnly = "nobody can write to the picture"
    case releaseRemoves = "a release removes every snapshot and says which"
    case releaseTwice = "a second release is harmless"
    case releaseOfNothing = "a release of nothing is harmless"
    case nextRun = "the next run can begin after a release"
    case held = "what is held is told, and nothing after the release"
    case sweep = "a sweep leaves the run at work alone"

    public var description: String { rawValue }
  }

  /// Tries one clause.
  ///
  /// - Throws: `Trouble` where it does not hold.
  public func check(_ clause: Clause) throws {
    try withProvider { provider in
      do {
        try check(clause, provider)
      } catch {
        _ = try? provider.release()
        throw error
      }
      _ = try provider.release()
    }
  }

  private func check(_ clause: Clause, _ provider: any SnapshotProvider) throws {
    let volumes = places.map(\.volume)
    switch clause {
    case .surveyOrder:
      for order in [volumes, volumes.reversed()] {
        let facts = try provider.survey(order)
        try expect(facts.map(\.name) == order, "\(facts.map(\.name)) for \(order)")
        try expect(facts.allSatisfy { $0.size > 0 && $0.extentSize > 0 }, "no sizes: \(facts)")
        try expect(facts.allSatisfy { $0.obstacle == nil }, "obstacles: \(facts)")
      }
    case .surveyOfNothing:
      try expect(try provider.survey([]).isEmpty, "something came")
    case .unknownVolume:
      try refused(.volumes) { _ = try provider.survey(volumes + [stranger]) }
    case .makeWayAlone:
      try expect(try provider.makeWay(for: volumes, folders: folders()).isEmpty, "somebody was")
    case .makeWayWithStrangersFolder:
      try refused(.precondition) {
        _ = try provider.makeWay(for: volumes, folders: folders().reversed())
      }
    case .prepareUnknown:
      try refused(.volumes) {
        _ = try provider.prepare(
          run(), requests + [.init(origin: stranger, size: snapshotSize)],
          folders: folders() + folders().prefix(1))
      }
      let report = try provider.release()
      try expect(report == ReleaseReport(), "left something: \(report)")
      try requireAbsent(provider, run(), volumes)
    case .prepareFacts:
      let id = run()
      let facts = try provider.prepare(id, requests, folders: folders())
      try expect(facts.map(\.origin) == volumes, "\(facts.map(\.origin)) for \(volumes)")
      for one in facts {
        try expect(one.snapshot.group == one.origin.group, "in another group: \(one.snapshot)")
        try expect(one.snapshot.volume.hasSuffix("_still_\(id)"), "named \(one.snapshot)")
        try expect(one.size > 0, "\(one.size) bytes")
        try expect(one.kind == (isThin(one.origin, provider) ? .thin : .classic), "\(one.kind)")
        try expect(
          one.kind == .thin || one.size <= snapshotSize + (64 << 20), "\(one.size) bytes")
      }
      try expect(Set(facts.map(\.snapshot)).count == facts.count, "names are not unique")
    case .prepareTwice:
      _ = try provider.prepare(run(), requests, folders: folders())
      try refused(.volumes) { _ = try provider.prepare(run(), requests, folders: folders()) }
      _ = try provider.freeze(deadline: 5)
    case .prepareWithStrangersFolder:
      try refused(.precondition) {
        _ = try provider.prepare(run(), requests, folders: folders().reversed())
      }
      try refused(.failed) { _ = try provider.prepare(run(), requests, folders: []) }
      try requireAbsent(provider, run(), volumes)
    case .freezeUnprepared:
      try refused(.volumes) { _ = try provider.freeze(deadline: 5) }
    case .freezeTwice:
      _ = try frozen(provider)
      try refused(.volumes) { _ = try provider.freeze(deadline: 5) }
      try provider.open().forEach { $0.close() }
    case .openUnfrozen:
      try refused(.volumes) { _ = try provider.open() }
      _ = try provider.prepare(run(), requests, folders: folders())
      try refused(.volumes) { _ = try provider.open() }
    case .windowHoldsTogether:
      let report = try frozen(provider)
      try expect(report.volumes.map(\.origin) == volumes, "\(report.volumes.map(\.origin))")
      let lastSuspend = report.volumes.map(\.suspend.end).max() ?? 0
      let firstTake = report.volumes.map(\.take.begin).min() ?? 0
      let lastTake = report.volumes.map(\.take.end).max() ?? 0
      let firstResume = report.volumes.map(\.resume.begin).min() ?? 0
      try expect(lastSuspend <= firstTake, "taken at \(firstTake) before \(lastSuspend)")
      try expect(lastTake <= firstResume, "resumed at \(firstResume) before \(lastTake)")
      try expect(report.window > 0 && report.skew >= 0, "\(report.window), \(report.skew)")
    case .content: try checkContent(provider)
    case .contentAfterPrepare:
      let name = try newName()
      try write("early", name)
      _ = try provider.prepare(run(), requests, folders: folders())
      try write("late", name)
      _ = try provider.freeze(deadline: 5)
      try compare(provider, name, "late")
    case .filledNew:
      _ = try frozen(provider)
      let fills = try provider.fill()
      try expect(fills.map(\.origin) == volumes, "\(fills.map(\.origin))")
      try expect(fills.allSatisfy { $0.state == .valid }, "\(fills)")
      // A pool holds its origins too, and says how much of it the metadata take.
      for fill in fills {
        let isThin = try isThin(fill.origin, provider)
        try expect(fill.share < (isThin ? 0.8 : 0.1), "\(fill)")
        try expect((fill.metadata != nil) == isThin, "\(fill)")
      }
      try expect(fills.allSatisfy { $0.size > 0 }, "\(fills)")
    case .extend: try checkExtend(provider)
    case .extendUnfrozen:
      try refused(.volumes) { _ = try provider.extend(volumes[0], to: snapshotSize * 2) }
      _ = try provider.prepare(run(), requests, folders: folders())
      try refused(.volumes) { _ = try provider.extend(volumes[0], to: snapshotSize * 2) }
      _ = try provider.freeze(deadline: 5)
      try refused(.volumes) { _ = try provider.extend(stranger, to: snapshotSize * 2) }
    case .extendWithoutRoom: try checkExtendWithoutRoom(provider)
    case .filledByWrites:
      let name = try newName()
      try write(String(repeating: "old", count: 1 << 18), name)
      _ = try frozen(provider)
      let before = try provider.fill().map(\.used)
      try write(String(repeating: "new", count: 1 << 18), name)
      let after = try provider.fill().map(\.used)
      try expect(zip(before, after).allSatisfy { $0 < $1 }, "\(before), then \(after)")
    case .overwritten: try checkOverwritten(provider)
    case .overwrittenUnfrozen:
      try refused(.volumes) { _ = try provider.overwritten() }
      _ = try provider.prepare(run(), requests, folders: folders())
      try refused(.volumes) { _ = try provider.overwritten() }
    case .readOnly:
      _ = try frozen(provider)
      for (place, root) in zip(places, try provider.open()) where isReal {
        let inner = try root.folder(FakeVolume.innerPath(place.folder))
        guard (try? inner.makeFolder("intruder", permissions: 0o700)) == nil else {
          throw Trouble("a folder could be made in the picture of \(place.volume)")
        }
      }
    case .releaseRemoves:
      let facts = try provider.prepare(run(), requests, folders: folders())
      _ = try provider.freeze(deadline: 5)
      let report = try provider.release()
      try expect(Set(report.removed) == Set(facts.map(\.snapshot)), "removed \(report.removed)")
      try expect(report.left.isEmpty && report.failure == nil, "left \(report.left)")
      try refused(.volumes) { _ = try provider.open() }
    case .releaseTwice:
      _ = try frozen(provider)
      _ = try provider.release()
      let report = try provider.release()
      try expect(report == ReleaseReport(), "\(report)")
    case .releaseOfNothing:
      let report = try provider.release()
      try expect(report == ReleaseReport(), "\(report)")
    case .nextRun:
      _ = try frozen(provider)
      _ = try provider.release()
      try withProvider { next in
        _ = try frozen(next)
        try next.open().forEach { $0.close() }
        _ = try next.release()
      }
    case .held:
      let id = run()
      let facts = try provider.prepare(id, requests, folders: folders())
      _ = try provider.freeze(deadline: 5)
      let set = try provider.held().first { $0.run == id }
      try expect(set?.isAlive == true, "not at work: \(String(describing: set))")
      try expect(set?.origins == volumes.sorted(), "\(String(describing: set?.origins))")
      try expect(
        Set(set?.snapshots.map(\.name) ?? []) == Set(facts.map(\.snapshot)),
        "\(String(describing: set?.snapshots))")
      try expect(set?.suspendedDevices == [], "suspended: \(String(describing: set))")
      _ = try provider.release()
      try expect(try provider.held().allSatisfy { $0.run != id }, "still there")
    case .sweep:
      _ = try frozen(provider)
      try withProvider { other in
        let report = try other.sweep()
        try expect(report == ReleaseReport(), "\(report)")
      }
      try provider.open().forEach { $0.close() }
      try expect(try provider.fill().allSatisfy { $0.state == .valid }, "no longer valid")
    }
  }

  private func checkContent(_ provider: any SnapshotProvider) throws {
    let (changed, removed, added) = (try newName(), try newName(), try newName())
    try write("as it was", changed)
    try write("still there", removed)
    _ = try frozen(provider)
    try write("as it is now", changed)
    try write("not yet there", added)
    for place in places { try OpenFolder.open(place.folder).remove(FilePath(removed)) }
    try compare(provider, changed, "as it was")
    try compare(provider, removed, "still there")
    for (place, root) in zip(places, try provider.open()) {
      let inner = try root.folder(FakeVolume.innerPath(place.folder))
      try expect(
        try inner.metadataIfPresent(of: FilePath(added)) == nil,
        "\(place.volume) shows a file that was made after the freeze")
    }
  }

  private func checkOverwritten(_ provider: any SnapshotProvider) throws {
    let (changed, kept) = (try newName(), try newName())
    // More than a chunk each, so that they share none but at their ends.
    try write(String(repeating: "old", count: 1 << 18), changed)
    try write(String(repeating: "old", count: 1 << 18), kept)
    _ = try frozen(provider)
    // Twice: what is asked for again goes on from there.
    for part in 0..<2 {
      for place in places {
        try Tool.demand(
          "dd", "if=/dev/zero", "of=\(place.folder.appending(changed))", "bs=256k", "count=1",
          "seek=\(part)", "conv=notrunc,fsync", "status=none")
      }
      for (place, list) in zip(places, try provider.overwritten()) {
        guard let list else {
          try expect(try !isReal || isThin(place.volume, provider), "\(place.volume) keeps no list")
          continue
        }
        func isWritten(_ name: String, _ range: Range<UInt64>) throws -> Bool {
          let file = try OpenFile.open(place.folder.appending(name))
          guard let extents = try file.extents(syncing: true), !extents.isEmpty else {
            throw Trouble("\(name) lies nowhere")
          }
          return extents.contains { extent in
            let begin = max(range.lowerBound, extent.logical)
            let end = min(range.upperBound, extent.logical + extent.length)
            guard begin < end else { return false }
            let shift = extent.physical - extent.logical
            return list.touch(begin + shift..<end + shift)
          }
        }
        let half: UInt64 = 256 << 10
        try expect(try isWritten(changed, 0..<half), "the first half of \(changed) is not listed")
        try expect(
          try isWritten(changed, half + (64 << 10)..<2 * half - (64 << 10)) == (part == 1),
          "the second half of \(changed) is \(part == 1 ? "not " : "")listed")
        try expect(
          try !isWritten(kept, 64 << 10..<half), "\(kept) is listed, and was not written to")
      }
    }
  }

  private func checkExtend(_ provider: any SnapshotProvider) throws {
    let name = try newName()
    try write("as it was", name)
    _ = try frozen(provider)
    try write("as it is now", name)
    let larger = snapshotSize + (32 << 20)
    let before = try provider.fill()
    let thin = try places.map { try isThin($0.volume, provider) }
    for (place, isThin) in zip(places, thin) {
      guard !isThin else {
        try refused(.volumes) { _ = try provider.extend(place.volume, to: larger) }
        continue
      }
      let facts = try provider.extend(place.volume, to: larger)
      try expect(facts.origin == place.volume, "\(facts)")
      try expect((larger..<larger + (64 << 20)).contains(facts.size), "\(facts.size) bytes")
      let again = try provider.extend(place.volume, to: snapshotSize)
      try expect(again.size == facts.size, "it shrank to \(again.size)")
    }
    let after = try provider.fill()
    try expect(after.allSatisfy { $0.state == .valid }, "\(after)")
    try expect(zip(after, thin).allSatisfy { $1 || $0.size >= larger }, "\(after)")
    try expect(zip(before, after).allSatisfy { $0.used <= $1.used }, "\(before), then \(after)")
    try compare(provider, name, "as it was")
  }

  private func checkExtendWithoutRoom(_ provider: any SnapshotProvider) throws {
    let name = try newName()
    try write("as it was", name)
    _ = try frozen(provider)
    try write("as it is now", name)
    // More than there is, or more than the origin has: whichever comes first holds it.
    let facts = places.map { try? provider.extend($0.volume, to: 1 << 50) }
    let origins = try provider.survey(places.map(\.volume))
    for (facts, origin) in zip(facts, origins) {
      guard let facts else { continue }
      try expect(facts.size <= origin.size + (64 << 20), "\(facts.size) for \(origin.size)")
    }
    try expect(try provider.fill().allSatisfy { $0.state == .valid }, "no longer valid")
    try compare(provider, name, "as it was")
  }

  // MARK: Parts

  private var stranger: VolumeName {
    VolumeName(group: places[0].volume.group, volume: "no_such_volume")
  }

  private var requests: [SnapshotRequest] {
    places.map { SnapshotRequest(origin: $0.volume, size: snapshotSize) }
  }

  private func isThin(_ volume: VolumeName, _ provider: any SnapshotProvider) throws -> Bool {
    try provider.survey([volume]).allSatisfy { $0.kind == .thin }
  }

  private func folders() throws -> [OpenFolder] {
    try places.map { try OpenFolder.open($0.folder) }
  }

  private func run() -> RunID { RunID(at: Clock.now()) }

  private func frozen(_ provider: any SnapshotProvider) throws -> FreezeReport {
    _ = try provider.prepare(run(), requests, folders: folders())
    return try provider.freeze(deadline: 5)
  }

  /// A set of the same volumes can be made, so nothing of another is in its way.
  private func requireAbsent(
    _ provider: any SnapshotProvider, _ run: RunID, _ volumes: [VolumeName]
  ) throws {
    let facts = try provider.prepare(run, requests, folders: folders())
    try expect(facts.map(\.origin) == volumes, "\(facts)")
  }

  private func newName() throws -> String { "contract-\(UInt64.random(in: 0...UInt64.max))" }

  private func write(_ text: String, _ name: String) throws {
    for place in places {
      let file = try OpenFile.open(place.folder.appending(name), .update(permissions: 0o600))
      try file.truncate(to: 0)
      try file.writeAll(Array(text.utf8))
      try file.sync()
      try file.close()
    }
  }

  private func compare(_ provider: any SnapshotProvider, _ name: String, _ text: String) throws {
    for (place, root) in zip(places, try provider.open()) {
      let inner = try root.folder(FakeVolume.innerPath(place.folder))
      let found = String(decoding: try inner.file(FilePath(name)).readAll(), as: UTF8.self)
      try expect(found == text, "\(place.volume) shows \"\(found)\" instead of \"\(text)\"")
    }
  }

  private func expect(
    _ condition: @autoclosure () throws -> Bool, _ complaint: @autoclosure () -> String
  ) throws {
    guard try condition() else { throw Trouble(complaint()) }
  }

  private func refused(_ status: ExitStatus, _ body: () throws -> Void) throws {
    do {
      try body()
    } catch let failure as StillError {
      try expect(failure.status == status, "refused with \(failure.status): \(failure)")
      return
    }
    throw Trouble("it was not refused")
  }
}
