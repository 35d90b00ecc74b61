import StillModel
import StillSystem

/// Takes a stream of headers and files, cuts it into blocks of one size, reads, checks and
/// compresses them on several threads, and writes them in order on another.
///
/// What is written depends on the stream, the block size and the compression only, never on the
/// number of workers. Memory is bounded: there are so many blocks and no more, and who fills them
/// waits for one to come back. The first error on any thread stops all of them and is what the next
/// call throws.
public final class CopyPipeline {
  /// 2 MiB: large enough that hardly anything is lost in compression by starting anew, small enough
  /// that some of them are no burden.
  public static let standardBlockSize = 2 << 20

  private struct State {
    var pool: BlockPool
    /// For the workers, the oldest last.
    var raw: [Block] = []
    /// To be written, by number.
    var ready: [UInt64: Block] = [:]
    var submitted: UInt64 = 0
    /// Of those, whose files are read.
    var read: UInt64 = 0
    var isComplete = false
    var failure: (any Error)?
    /// There when the writer has ended.
    var output: (end: [UInt8], bytes: UInt64)?
  }

  /// What was written.
  public struct Output: Hashable, Sendable {
    public var bytes: UInt64
    /// Of the file as it lies there, compressed.
    public var checksum: Checksum
  }

  private let shared: Monitor<State>
  private let output: OpenFile
  private let sum: ArchiveSum
  private let cancellation: Cancellation?
  private let blockSize: Int
  private var threads: [WorkerThread] = []
  private var current: Block?
  /// For the checksums of files.
  let checksum: ChecksumAlgorithm

  /// Starts the threads: one that writes to `output`, from where that stands, and `workers` (at
  /// least one) that do everything else. `checksum` is of files, `outputChecksum` of what is written;
  /// `blockSize` is in bytes; `cancellation` is looked at once a block.
  public init(
    output: OpenFile, compression: Compression, workers: Int,
    checksum: ChecksumAlgorithm = .none, outputChecksum: ChecksumAlgorithm = .crc32c,
    blockSize: Int = CopyPipeline.standardBlockSize, cancellation: Cancellation? = nil
  ) throws {
    self.output = output
    self.cancellation = cancellation
    self.blockSize = blockSize
    self.checksum = checksum
    sum = try ArchiveSum(outputChecksum)
    let count = max(1, workers)
    shared = Monitor(State(pool: BlockPool(size: blockSize, workers: count)))
    do {
      for _ in 0..<count {
        let checksums = Checksums { [shared] in
          try cancellation?.checkpoint()
          if shared.update({ $0.failure != nil }) { throw Abandoned() }
        }
        let worker = CopyWorker(try compression.makeCompressor(), checksums, sum)
        threads.append(try Self.start(worker, shared))
      }
      let writer = try BlockWriter(output, index: compression.makeIndex())
      threads.append(try Self.start(writer, shared))
    } catch {
      abandon()
      throw error
    }
  }

  deinit { abandon() }

  /// Appends bytes to the stream.
  ///
  /// - Throws: the first error of any thread, or the reason of a cancellation.
  public func append(_ bytes: UnsafeRawBufferPointer) throws {
    var rest = bytes
    while !rest.isEmpty {
      let block = try current ?? nextBlock()
      current = block
      let count = min(block.room.count, rest.count)
      block.room.copyMemory(from: UnsafeRawBufferPointer(rebasing: rest[..<count]))
      rest = UnsafeRawBufferPointer(rebasing: rest[count...])
      try advance(count)
    }
  }

  /// Appends the content of a file. `progress` is called with every number of bytes.
  func append(_ file: CopiedFile, _ progress: (UInt64) -> Void) throws {
    if file.size == 0 {
      file.conclude(try RunningChecksum(checksum).finish())
      return try file.endReading()
    }
    // A file that is one hole is one piece, of no bytes.
    let parts = file.sparse?.data ?? [0..<file.size]
    if parts.isEmpty { _ = try append(file, piece: 0, at: 0, 0) }
    var number = 0
    for part in parts {
      var offset = part.lowerBound
      while offset < part.upperBound {
        let count = try append(file, piece: number, at: offset, part.upperBound - offset)
        offset += UInt64(count)
        number += 1
        progress(UInt64(count))
      }
    }
    if file.isReadAtOnce { try file.endReading() }
  }

  /// Appends up to `limit` bytes of a file as its next piece; answers how many.
  private func append(
    _ file: CopiedFile, piece number: Int, at offset: UInt64, _ limit: UInt64
  ) throws -> Int {
    let block = try current ?? nextBlock()
    current = block
    let count = Int(min(UInt64(block.room.count), limit))
    let range = block.inputCount..<block.inputCount + count
    if file.isReadAtOnce {
      try file.read(into: UnsafeMutableRawBufferPointer(rebasing: block.input[range]), at: offset)
    } else {
      file.expect(offset, count)
    }
    block.contents.append(
      BlockContent(
        file: file, range: range, offset: offset, number: number, isThere: file.isReadAtOnce))
    try advance(count)
    return count
  }

  /// Waits until all that was appended so far has been read from where it lies: a live file that is
  /// read later may be of a later time.
  ///
  /// - Throws: the first error of any thread.
  func waitUntilRead() throws {
    if let current, current.inputCount > 0 { try submit() }
    try shared.wait { state in
      if let failure = state.failure { throw failure }
      return state.read == state.submitted ? () : nil
    }
  }

  /// Ends the stream: waits until all of it is written and on the disk.
  public func finish() throws -> Output {
    if let current, current.inputCount > 0 { try submit() }
    shared.update { $0.isComplete = true }
    joinAll()
    let (failure, written) = shared.update { ($0.failure, $0.output) }
    if let failure {
      closeFiles()
      throw failure
    }
    guard let written else { throw StillError(.failed, "\(output.path) was not written") }
    try output.sync()
    return Output(bytes: written.bytes, checksum: sum.finish(adding: written.end))
  }

  /// Stops the threads and waits for them; what was written stays as it is.
  public func abandon() {
    shared.update { if $0.failure == nil { $0.failure = Abandoned() } }
    joinAll()
    closeFiles()
  }

  /// Lets go of the files that are on their way, when no thread runs any more: pieces that wait for
  /// one that never comes hold their file, and an open file holds the snapshot that it is on.
  private func closeFiles() {
    sum.abandon()
    shared.update { $0.pool.abandonFiles() }
  }

  private struct Abandoned: Error {}

  private func joinAll() {
    for thread in threads { thread.join() }
    threads = []
  }

  private func nextBlock() throws -> Block {
    try cancellation?.checkpoint()
    return try shared.wait { state in
      if let failure = state.failure { throw failure }
      return state.pool.take()
    }
  }

  private func advance(_ count: Int) throws {
    guard let block = current else { return }
    block.inputCount += count
    if block.inputCount == blockSize { try submit() }
  }

  private func submit() throws {
    guard let block = current else { return }
    current = nil
    // The worker, the writer, the sum, and every file of which there is a piece only: those two may
    // wait for others.
    let users = 3 + block.pieceCount
    try shared.update { state in
      if let failure = state.failure { throw failure }
      block.number = state.submitted
      block.users = users
      state.submitted += 1
      state.raw.insert(block, at: 0)
    }
  }

  // MARK: Threads

  private static func start(_ worker: CopyWorker, _ shared: Monitor<State>) throws -> WorkerThread {
    let confined = Confined(worker)
    return try WorkerThread {
      while true {
        let next: Block?? = shared.wait { state in
          if state.failure != nil { return .some(nil) }
          if let block = state.raw.popLast() { return block }
          return state.isComplete ? .some(nil) : nil
        }
        guard case .some(.some(let block)) = next else { return }
        do {
          try confined.value.prepare(block)
          shared.update {
            $0.ready[block.number] = block
            $0.read += 1
          }
          try confined.value.handIn(block) { block in shared.update { $0.pool.drop(block) } }
          shared.update { $0.pool.drop(block) }
        } catch {
          shared.update { if $0.failure == nil { $0.failure = error } }
        }
      }
    }
  }

  private static func start(
    _ writer: BlockWriter, _ shared: Monitor<State>
  ) throws -> WorkerThread {
    let confined = Confined(writer)
    return try WorkerThread {
      var number: UInt64 = 0
      do {
        while true {
          let next: Block?? = shared.wait { state in
            if state.failure != nil { return .some(nil) }
            if let block = state.ready.removeValue(forKey: number) { return block }
            return state.isComplete && number == state.submitted ? .some(nil) : nil
          }
          guard case .some(.some(let block)) = next else { break }
          number += 1
          try confined.value.write(block)
          shared.update { $0.pool.drop(block) }
        }
        let output = try confined.value.finish()
        shared.update { $0.output = output }
      } catch {
        shared.update { if $0.failure == nil { $0.failure = error } }
      }
    }
  }
}
