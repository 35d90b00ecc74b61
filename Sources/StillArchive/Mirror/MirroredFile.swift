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
    /// Called with every number of bytes, by several threads.
    var progress: @Sendable (UInt64) -> Void
    /// Called when it is done.
    var done: @Sendable (BackupRecord.Mirror.Sharing, UnpackSummary) -> Void
  }

  private let source: OpenFile
  private let member: TarMember
  private let place: MirrorPlace
  private let rules: Rules
  private let isSparse: Bool
  private let inspector: PageInspector?
  private let inspect: ((UnsafeRawBufferPointer) -> Void)?
  private let result = Mutex<CopiedFile.Outcome?>(nil)

  init(
    _ source: OpenFile, _ member: TarMember, to place: MirrorPlace, _ rules: Rules,
    isSparse: Bool, _ inspector: PageInspector?, inspect: ((UnsafeRawBufferPointer) -> Void)?
  ) {
    self.source = source
    self.member = member
    self.place = place
    self.rules = rules
    self.isSparse = isSparse
    self.inspector = inspector
    self.inspect = inspect
  }

  var size: UInt64 { member.size }
  var outcome: CopiedFile.Outcome? { result.withLock { $0 } }

  /// Copies it. Each byte is read once: what is compared, written and checked is the same, also of a file
  /// that is being changed.
  func copy(_ tools: WorkCrew.Tools) throws {
    let checksum = try RunningChecksum(rules.checksum)
    var output = try SharedFile(at: place, size: size, isSparse: isSparse, tools)
    var offset: UInt64 = 0
    while offset < size {
      try tools.checkpoint()
      let count = Int(min(size - offset, UInt64(tools.room.count)))
      let room = UnsafeMutableRawBufferPointer(rebasing: tools.room[..<count])
      try read(into: room, at: offset)
      let bytes = UnsafeRawBufferPointer(room)
      inspect?(bytes)
      inspector?.take(bytes)
      checksum.update(bytes)
      try output.take(bytes, at: offset)
      rules.progress(UInt64(count))
      offset += UInt64(count)
    }
    if rules.isFrozen { try requireEnd(tools) }
    try source.close()
    var summary = UnpackSummary()
    try output.end(member, rules.restorer, &summary)
    rules.done(output.sharing, summary)
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
