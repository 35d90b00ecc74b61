import StillModel
import StillSystem

/// Reads an archive's bytes in their order, decompressed on several threads where its frames allow
/// it, and lets the same threads do the work on the content of files that the reader finds in them.
///
/// Memory is bounded: there are so many blocks and no more. The first error of any thread stops all
/// of them and is what the next call throws; a damaged frame is an error only when the reader comes
/// to it, and what is behind it can still be read.
final class ReadPipeline {
  private struct State {
    var pool: BlockPool
    /// Stretches so far.
    var taken: UInt64 = 0
    /// How many there are; nil until that is known.
    var total: UInt64?
    /// Whether somebody prepares the next stretch.
    var isPreparing = false
    /// To be handed on, by number.
    var ready: [UInt64: Block] = [:]
    /// Blocks with content that is to be worked on, the oldest last.
    var tasks: [Block] = []
    var isComplete = false
    var failure: (any Error)?
  }

  private let shared: Monitor<State>
  private let cancellation: Cancellation?
  private let archiveChecksum: ArchiveChecksum?
  private var threads: [WorkerThread] = []
  private var current: Block?
  private var unread = 0..<0
  private var next: UInt64 = 0
  /// Of the stream, how much was taken or is lost.
  private(set) var position: UInt64 = 0

  /// Starts `workers` threads (at least one) on a file, from its beginning. `checksum` is the one
  /// that the archive as a whole gets.
  init(
    _ file: OpenFile, workers: Int, checksum: ChecksumAlgorithm?, cancellation: Cancellation?
  ) throws {
    self.cancellation = cancellation
    archiveChecksum = try checksum.map { try ArchiveChecksum(file, $0) }
    let plan = try ArchivePlan(file)
    let count = max(1, workers)
    shared = Monitor(
      State(pool: BlockPool(size: plan.stretches.blockSize, workers: count)))
    do {
      for _ in 0..<count {
        let checksums = Checksums { [shared] in
          try cancellation?.checkpoint()
          if shared.update({ $0.failure != nil }) { throw Abandoned() }
        }
        let worker = ReadWorker(
          plan.stretches, try plan.packing.makeDecompressor(), checksums)
        threads.append(try Self.start(worker, shared))
      }
    } catch {
      abandon()
      throw error
    }
  }

  deinit { abandon() }

  /// What lies ahead, some of it; empty at the end only.
  ///
  /// - Throws: `DamagedStream` where the archive is damaged here; the next call goes on behind that,
  ///   if there is anything.
  func ahead() throws -> UnsafeRawBufferPointer {
    while unread.isEmpty {
      passOn()
      guard let block = try nextBlock() else { return UnsafeRawBufferPointer(start: nil, count: 0) }
      current = block
      unread = 0..<block.inputCount
    }
    guard let current else { return UnsafeRawBufferPointer(start: nil, count: 0) }
    return UnsafeRawBufferPointer(rebasing: current.filled[unread])
  }

  /// Passes over bytes of `ahead()`.
  func take(_ count: Int) {
    unread.removeFirst(count)
    position += UInt64(count)
  }

  /// Hands bytes of `ahead()` to the workers: piece `number` of a file.
  func take(_ count: Int, as number: Int, of file: ArchivedFile, at offset: UInt64) {
    current?.contents.append(
      BlockContent(
        file: file, range: unread.lowerBound..<unread.lowerBound + count, offset: offset,
        number: number))
    take(count)
  }

  /// Waits until all work on content is done.
  func finish() throws {
    passOn()
    shared.update { $0.isComplete = true }
    joinAll()
    guard let failure = shared.update({ $0.failure }) else { return }
    shared.update { $0.pool.abandonFiles() }
    throw failure
  }

  /// The checksum of the archive as it lies there, after `finish()`. Without damage hardly anything is
  /// read for it.
  func checksum() throws -> Checksum? { try archiveChecksum?.finish(cancellation) }

  /// Stops the threads and waits for them.
  func abandon() {
    shared.update { if $0.failure == nil { $0.failure = Abandoned() } }
    joinAll()
    shared.update { $0.pool.abandonFiles() }
  }

  private struct Abandoned: Error {}

  private func joinAll() {
    for thread in threads { thread.join() }
    threads = []
  }

  private func nextBlock() throws -> Block? {
    try cancellation?.checkpoint()
    let number = next
    let block: Block?? = try shared.wait { state in
      if let failure = state.failure { throw failure }
      if let block = state.ready.removeValue(forKey: number) { return block }
      return state.total == number ? .some(nil) : nil
    }
    guard case .some(.some(let block)) = block else { return nil }
    next += 1
    guard let fault = block.fault else {
      try archiveChecksum?.take(block)
      return block
    }
    position += fault.gap ?? 0
    block.users = 1
    shared.update { $0.pool.drop(block) }
    throw fault
  }

  /// The current block is read; the workers get what they are to do in it.
  private func passOn() {
    guard let block = current else { return }
    current = nil
    let users = 1 + block.pieceCount
    shared.update { state in
      block.users = users
      if block.contents.isEmpty {
        state.pool.drop(block)
      } else {
        state.tasks.insert(block, at: 0)
      }
    }
  }

  // MARK: Threads

  private enum Step {
    case end
    /// On the content in a block.
    case work(Block)
    /// The next stretch goes into a block.
    case fetch(Block)
  }

  private static func start(_ worker: ReadWorker, _ shared: Monitor<State>) throws -> WorkerThread {
    let confined = Confined(worker)
    return try WorkerThread {
      while true {
        let step: Step = shared.wait { state in
          if state.failure != nil { return .end }
          // First what gives blocks back.
          if let block = state.tasks.popLast() { return .work(block) }
          if state.isComplete { return .end }
          guard state.total == nil, !state.isPreparing,
            let block = state.pool.take()
          else { return nil }
          block.number = state.taken
          state.isPreparing = true
          return .fetch(block)
        }
        do {
          switch step {
          case .end: return
          case .work(let block):
            try confined.value.work(on: block) { block in shared.update { $0.pool.drop(block) } }
            shared.update { $0.pool.drop(block) }
          case .fetch(let block):
            let isThere = try confined.value.prepare(block)
            shared.update { state in
              state.isPreparing = false
              if isThere { state.taken += 1 }
              // Nothing can be read behind what is damaged here.
              if !isThere || block.fault != nil { state.total = state.taken }
              if !isThere { state.pool.giveBack(block) }
            }
            guard isThere else { continue }
            try confined.value.complete(block)
            shared.update { $0.ready[block.number] = block }
          }
        } catch {
          shared.update { if $0.failure == nil { $0.failure = error } }
        }
      }
    }
  }
}

/// What a thread does for a pipeline that reads.
private final class ReadWorker {
  let stretches: any Stretches
  private let decompressor: (any BlockDecompressor)?
  private let checksums: Checksums

  init(
    _ stretches: any Stretches, _ decompressor: (any BlockDecompressor)?, _ checksums: Checksums
  ) {
    self.checksums = checksums
    self.stretches = stretches
    self.decompressor = decompressor
  }

  /// False at the end of the archive.
  func prepare(_ block: Block) throws -> Bool {
    do {
      return try stretches.next(block)
    } catch let damage as DamagedStream {
      block.fault = damage
      return true
    }
  }

  func complete(_ block: Block) throws {
    guard block.fault == nil else { return }
    do {
      try stretches.complete(block, decompressor)
    } catch var damage as DamagedStream {
      damage.gap = UInt64(block.frame.size)
      block.fault = damage
    }
  }

  func work(on block: Block, _ done: (Block) -> Void) throws {
    try block.workOnWholes(checksums)
    try block.workOnPieces(checksums, done)
  }
}
