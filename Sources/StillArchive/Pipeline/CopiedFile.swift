import StillModel
import StillSystem
import Synchronization

/// The content of a file on its way into an archive. Workers read its pieces, several at a time,
/// and look at them in their order: for its checksum, and for its pages.
final class CopiedFile: PassingFile, @unchecked Sendable {
  /// What came of it.
  struct Outcome: Sendable {
    var checksum: Checksum
    /// What a `PageInspector` found.
    var bad: [UInt32] = []
    var changed: [CheckedPages.Change] = []
  }

  /// Of files with so much data or less there may be thousands in the pipeline, more than a process may
  /// have open: those that the budget has no room for are read at once by whoever finds them, and closed.
  static let smallSize: UInt64 = 128 << 10

  let size: UInt64
  let sparse: SparseMap?
  private let source: OpenFile
  private let changes: TarWriter.ChangingFiles
  private let isReadOnce: Bool
  private let algorithm: ChecksumAlgorithm
  private let inspector: PageInspector?
  private let inspect: ((UnsafeRawBufferPointer) -> Void)?
  private let pieces = InOrder<(block: Block, content: BlockContent)>()
  /// Of those pieces; used by one thread at a time, as they are handled.
  private var checksum: OrderedChecksum?
  private let result = Mutex<Outcome?>(nil)

  /// - Parameters:
  ///   - isReadOnce: nobody else reads this file, so the page cache need not keep it.
  ///   - size: what of it goes into the archive.
  ///   - sparse: where its data is, if it has holes.
  ///   - inspect: gets to see every byte, in their order, by whoever adds it to the archive.
  init(
    _ source: OpenFile, size: UInt64, _ sparse: SparseMap? = nil,
    ifChanged changes: TarWriter.ChangingFiles, checksum algorithm: ChecksumAlgorithm,
    isReadOnce: Bool, _ inspector: PageInspector?, budget: OpenFileBudget? = nil,
    inspect: ((UnsafeRawBufferPointer) -> Void)? = nil
  ) {
    self.source = source
    self.size = size
    self.sparse = sparse
    self.changes = changes
    self.algorithm = algorithm
    self.isReadOnce = isReadOnce
    self.inspector = inspector
    self.inspect = inspect
    let isSmall = (sparse?.storedSize ?? size) <= CopiedFile.smallSize
    let waits = inspect == nil && (!isSmall || budget?.take() == true)
    self.budget = isSmall && waits ? budget : nil
    isReadAtOnce = !waits
  }

  /// Whether it is read by whoever adds it to the archive.
  let isReadAtOnce: Bool
  /// Where a small file has to be given back when it is closed.
  private let budget: OpenFileBudget?

  /// nil as long as it is on its way.
  var outcome: Outcome? { result.withLock { $0 } }

  /// Lets the kernel read a piece already, while others are being worked on.
  func expect(_ offset: UInt64, _ count: Int) {
    // For a few pages it is not worth a call: the kernel reads that much ahead by itself.
    if UInt64(count) > CopiedFile.smallSize { source.advise(.willNeed, offset, count) }
  }

  /// Fills `room` with what is at `offset`.
  ///
  /// - Throws: `.copying` where the file has become shorter, unless changes are to be fitted.
  func read(into room: UnsafeMutableRawBufferPointer, at offset: UInt64) throws {
    let count = try source.readFully(into: room, at: offset)
    if count < room.count {
      guard changes == .fit else { throw sizeChanged("shorter") }
      room[count...].initializeMemory(as: UInt8.self, repeating: 0)
    }
    if isReadOnce { source.advise(.dontNeed, offset, count) }
    inspect?(UnsafeRawBufferPointer(room))
  }

  /// Everything is read.
  ///
  /// - Throws: `.copying` where the file has become longer, unless changes are to be fitted.
  func endReading() throws {
    if changes == .refuse {
      let more = try withUnsafeTemporaryAllocation(byteCount: 1, alignment: 1) {
        try source.readFully(into: $0, at: size)
      }
      if more > 0 { throw sizeChanged("longer") }
    }
    budget?.giveBack()
    try source.close()
  }

  func work(
    on content: BlockContent, in block: Block, _ checksums: Checksums, _ done: (Block) -> Void
  ) throws {
    if content.isWhole {
      inspector?.take(block.bytes(content))
      try end(try checksums.of(block.bytes(content), algorithm))
      return
    }
    try pieces.bring((block, content), number: content.number) { block, content in
      let bytes = block.bytes(content)
      var checksum = try self.checksum ?? OrderedChecksum(algorithm)
      try checksum.take(bytes, at: content.offset, checksums)
      inspector?.take(bytes, at: content.offset)
      done(block)
      if content.isLast { try end(checksum.finish(size: size, checksums)) }
      self.checksum = checksum
    }
  }

  func abandon() {
    pieces.abandon()
    try? source.close()
  }

  private func end(_ checksum: Checksum) throws {
    conclude(checksum)
    if !isReadAtOnce { try endReading() }
  }

  /// The checksum, and with it the outcome, of a file without content.
  func conclude(_ checksum: Checksum) {
    let outcome = Outcome(
      checksum: checksum, bad: inspector?.bad ?? [], changed: inspector?.changed ?? [])
    result.withLock { $0 = outcome }
  }

  private func sizeChanged(_ how: String) -> StillError {
    StillError(
      .copying, "\(source.path) is \(how) than the \(size) bytes it had a moment before",
      hint: "A frozen source cannot change: see whether the snapshot is still valid.")
  }
}
