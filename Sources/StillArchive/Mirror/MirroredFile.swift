import StillModel
import StillSystem
import Synchronization
import SystemPackage

/// A file on its way into a mirror: read once, from its beginning to its end, by one thread.
final class MirroredFile: FileUnderway, @unchecked Sendable {
  /// What does not change from file to file.
  struct Rules: Sendable {
    var checksum: ChecksumAlgorithm
    /// Whether a file that changes while it is read is an error; else the copy has the size that it had
    /// when it was opened.
    var isFrozen: Bool
    var isReadOnce: Bool
    var restorer: AttributeRestorer
    var grain: TimeGrain
    /// Gets to know what it came to.
    var totals: MirrorTotals
    /// Called with every number of bytes, by several threads.
    var progress: @Sendable (UInt64) -> Void
  }

  private let source: OpenFile
  private let member: TarMember
  /// Counted from the backup's folder.
  private let path: FilePath
  private let place: MirrorPlace
  private let rules: Rules
  private let isSparse: Bool
  private let makeInspector: () -> PageInspector?
  private let inspect: ((UnsafeRawBufferPointer) -> Void)?
  private let result = Mutex<CopiedFile.Outcome?>(nil)

  init(
    _ source: OpenFile, _ member: TarMember, at path: FilePath, _ place: MirrorPlace,
    _ rules: Rules, isSparse: Bool, _ makeInspector: @escaping () -> PageInspector?,
    inspect: ((UnsafeRawBufferPointer) -> Void)?
  ) {
    self.source = source
    self.member = member
    self.path = path
    self.place = place
    self.rules = rules
    self.isSparse = isSparse
    self.makeInspector = makeInspector
    self.inspect = inspect
  }

  var size: UInt64 { member.size }
  var outcome: CopiedFile.Outcome? { result.withLock { $0 } }

  /// Copies it. Where the earlier mirror's file turns out to be damaged too late, it is copied once more,
  /// without that one.
  func copy(_ tools: WorkCrew.Tools) throws {
    do { try copy(to: place, isFirst: true, tools) } catch let lost as SharedFile.EarlierIsLost {
      rules.totals.couldNotUse(lost.reason)
      try place.folder.remove(place.name)
      var alone = place
      alone.earlier = nil
      try copy(to: alone, isFirst: false, tools)
    }
    try source.close()
  }

  /// Each byte is read once: what is compared, written and checked is the same, also of a file that is
  /// being changed.
  private func copy(to place: MirrorPlace, isFirst: Bool, _ tools: WorkCrew.Tools) throws {
    let checksum = try RunningChecksum(rules.checksum)
    let inspector = makeInspector()
    var output = try SharedFile(at: place, size: size, isSparse: isSparse, tools)
    var offset: UInt64 = 0
    while offset < size {
      try tools.checkpoint()
      let count = Int(min(size - offset, UInt64(tools.room.count)))
      let room = UnsafeMutableRawBufferPointer(rebasing: tools.room[..<count])
      try read(into: room, at: offset)
      let bytes = UnsafeRawBufferPointer(room)
      // Whoever wants to see the content counts it, too; it is log, to which is only added.
      if isFirst { inspect?(bytes) }
      inspector?.take(bytes)
      checksum.update(bytes)
      try output.take(bytes, at: offset)
      if isFirst { rules.progress(UInt64(count)) }
      offset += UInt64(count)
    }
    if rules.isFrozen { try requireEnd(tools) }
    var summary = UnpackSummary()
    try output.end(member, rules, &summary)
    rules.totals.add(output.sharing, summary)
    let apart = output.made.flatMap {
      member.apart(
        at: path, from: $0, hasAttributes: summary.lostAttributes == 0, rules.restorer.names)
    }
    if let apart { rules.totals.add(apart) }
    let outcome = CopiedFile.Outcome(
      checksum: checksum.finish(), bad: inspector?.bad ?? [], changed: inspector?.changed ?? [])
    result.withLock { $0 = outcome }
  }

  private func read(into room: UnsafeMutableRawBufferPointer, at offset: UInt64) throws {
    let count = try source.readFully(into: room, at: offset)
    if count < room.count {
      guard !rules.isFrozen else { throw sizeChanged("shorter") }
      room[count...].initializeMemory(as: UInt8.self, repeating: 0)
    }
    if rules.isReadOnce { source.advise(.dontNeed, offset, count) }
  }

  private func requireEnd(_ tools: WorkCrew.Tools) throws {
    let one = UnsafeMutableRawBufferPointer(rebasing: tools.room[..<1])
    if try source.readFully(into: one, at: size) > 0 { throw sizeChanged("longer") }
  }

  private func sizeChanged(_ how: String) -> StillError {
    StillError(
      .copying, "\(source.path) is \(how) than the \(size) bytes it had a moment before",
      hint: "A frozen source cannot change: see whether the snapshot is still valid.")
  }
}
