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
    var free: [Block] = []
    /// Blocks that are yet to be made.
    var allowance: Int
    /// For the workers, the oldest last.
    var raw: [Block] = []
    /// To be written, by number.
    var ready: [UInt64: Block] = [:]
    var submitted: UInt64 = 0
    var isComplete = false
    var failure: (any Error)?
    /// There when the writer has ended.
    var output: Output?

    mutating func drop(_ block: Block) {
      block.users -= 1
      guard block.users == 0 else { return }
      block.reset()
      free.append(block)
    }
  }

  /// What was written.
  public struct Output: Hashable, Sendable {
    public var bytes: UInt64
    /// Of the file as it lies there, compressed.
    public var digest: Checksum
  }

  private let shared: Monitor<State>
  private let output: OpenFile
  private let cancellation: Cancellation?
  private let blockSize: Int
  private var threads: [WorkerThread] = []
  private var current: Block?
  /// For the checksums of files.
  let checksum: ChecksumAlgorithm

  /// Starts the threads: one that writes to `output`, from where that stands, and `workers` (at
  /// least one) that do everything else. `blockSize` is in bytes; `cancellation` is looked at once a
  /// block.
  public init(
    output: OpenFile, compression: Compression, workers: Int,
    checksum: ChecksumAlgorithm = .none,
    blockSize: Int = CopyPipeline.standardBlockSize, cancellation: Cancellation? = nil
  ) throws {
    self.output = output
    self.cancellation = cancellation
    self.blockSize = blockSize
    self.checksum = checksum
    let count = max(1, workers)
    // One block being filled, one being written, one for each worker, and some between them.
    shared = Monitor(State(allowance: count + max(2, count / 2) + 2))
    do {
      for _ in 0..<count {
        let checksums = Checksums { [shared] in
          try cancellation?.checkpoint()
          if shared.update({ $0.failure != nil }) { throw Abandoned() }
        }
        let worker = Worker(try compression.makeCompressor(), checksums)
        threads.append(try Self.start(worker, shared))
      }
      let writer = BlockWriter(output, index: compression.makeIndex())
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

  /// Ends the stream: waits until all of it is written and on the disk.
  public func finish() throws -> Output {
    if let current, current.inputCount > 0 { try submit() }
    shared.update { $0.isComplete = true }
    joinAll()
    let (failure, written) = shared.update { ($0.failure, $0.output) }
    if let failure { throw failure }
    guard let written else { throw StillError(.failed, "\(output.path) was not written") }
    try output.sync()
    return written
  }

  /// Stops the threads and waits for them; what was written stays as it is.
  public func abandon() {
    shared.update { if $0.failure == nil { $0.failure = Abandoned() } }
    joinAll()
  }

  private struct Abandoned: Error {}

  private func joinAll() {
    for thread in threads { thread.join() }
    threads = []
  }

  private func nextBlock() throws -> Block {
    try cancellation?.checkpoint()
    let size = blockSize
    return try shared.wait { state in
      if let failure = state.failure { throw failure }
      if let block = state.free.popLast() { return block }
      guard state.allowance > 0 else { return nil }
      state.allowance -= 1
      return Block(size: size)
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
    // The writer, and every file of which there is a piece only: that may wait for others.
    let users = 1 + block.pieceCount
    try shared.update { state in
      if let failure = state.failure { throw failure }
      block.number = state.submitted
      block.users = users
      state.submitted += 1
      state.raw.insert(block, at: 0)
    }
  }

  // MARK: Threads

  private static func start(_ worker: Worker, _ shared: Monitor<State>) throws -> WorkerThread {
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
          try confined.value.work(on: block) { block in shared.update { $0.drop(block) } }
          shared.update { $0.ready[block.number] = block }
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
          shared.update { $0.drop(block) }
        }
        let output = try confined.value.finish()
        shared.update { $0.output = output }
      } catch {
        shared.update { if $0.failure == nil { $0.failure = error } }
      }
    }
  }
}

/// Something on its way to the one thread that uses it.
struct Confined<Value>: @unchecked Sendable {
  let value: Value
  init(_ value: Value) { self.value = value }
}

/// What a worker does with a block.
private final class Worker {
  private let compressor: (any BlockCompressor)?
  private let checksums: Checksums

  init(_ compressor: (any BlockCompressor)?, _ checksums: Checksums) {
    self.compressor = compressor
    self.checksums = checksums
  }

  /// Reads what is not there yet, looks at it while it is in the processor's cache, and compresses.
  func work(on block: Block, _ done: (Block) -> Void) throws {
    try block.workOnContents(checksums, done)
    try compressor?.compress(block)
  }
}

/// Writes blocks as they are handed to it, and computes the checksum of what it writes.
private final class BlockWriter {
  /// So much is written before the disk is told to begin: it is not left to the end.
  private static let stride: UInt64 = 16 << 20

  private let output: OpenFile
  private let index: (any FrameIndexWriter)?
  private var digest: RunningChecksum?
  private var bytes: UInt64 = 0
  private var begun: UInt64 = 0

  init(_ output: OpenFile, index: (any FrameIndexWriter)?) {
    self.output = output
    self.index = index
  }

  func write(_ block: Block) throws {
    let isCompressed = block.outputCount > 0
    try write(isCompressed ? block.compressed : block.filled)
    index?.add(compressed: block.outputCount, content: block.inputCount)
  }

  func finish() throws -> CopyPipeline.Output {
    if let end = index?.finish() { try end.withUnsafeBytes { try write($0) } }
    let digest = try digest ?? RunningChecksum(.sha256)
    return CopyPipeline.Output(bytes: bytes, digest: digest.finish())
  }

  private func write(_ piece: UnsafeRawBufferPointer) throws {
    let digest = try self.digest ?? RunningChecksum(.sha256)
    self.digest = digest
    try output.writeAll(piece)
    digest.update(piece)
    bytes += UInt64(piece.count)
    if bytes - begun >= BlockWriter.stride {
      output.startWriting(begun, Int(bytes - begun))
      begun = bytes
    }
  }
}
