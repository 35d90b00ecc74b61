import StillModel
import StillSystem

/// Takes a stream, cuts it into blocks of one size, compresses them on several threads and writes
/// them in order on another.
///
/// What is written depends on the stream, the block size and the compression only, never on the
/// number of workers. Memory is bounded: there are so many blocks and no more, and who fills them
/// waits for one to come back. The first error on any thread stops all of them and is what the next
/// call throws.
public final class CompressionPipeline {
  /// 4 MiB: large enough that the loss in compression by starting anew is small.
  public static let standardBlockSize = 4 << 20

  private struct State {
    var free: [Block] = []
    /// Blocks that are yet to be made.
    var allowance: Int
    /// To be compressed, the oldest last.
    var raw: [Block] = []
    /// To be written, by number.
    var ready: [UInt64: Block] = [:]
    var submitted: UInt64 = 0
    var isComplete = false
    var failure: (any Error)?
    var bytesWritten: UInt64 = 0
    /// Of everything written; there when the writer has ended.
    var digest = Checksum.none
  }

  /// What was written.
  public struct Output: Hashable, Sendable {
    public var bytes: UInt64
    /// SHA-256 of the file as it lies there, compressed.
    public var digest: Checksum
  }

  private let shared: Monitor<State>
  private let output: OpenFile
  private let cancellation: Cancellation?
  private let isCompressing: Bool
  private let blockSize: Int
  private var threads: [WorkerThread] = []
  private var current: Block?

  /// Starts the threads: one that writes to `output`, from where that stands, and `workers` that
  /// compress (at least one, unless nothing is compressed). `blockSize` is in bytes; `cancellation`
  /// is looked at once a block.
  public init(
    output: OpenFile, compression: Compression, workers: Int,
    blockSize: Int = CompressionPipeline.standardBlockSize, cancellation: Cancellation? = nil
  ) throws {
    self.output = output
    self.cancellation = cancellation
    self.blockSize = blockSize
    isCompressing = compression != .none
    let workerCount = isCompressing ? max(1, workers) : 0
    // One block being filled, one being written, and two for each worker, so that none of them
    // waits for the others.
    shared = Monitor(State(allowance: 2 * workerCount + 2))
    do {
      for _ in 0..<workerCount {
        guard let compressor = try compression.makeCompressor() else { break }
        threads.append(try Self.startWorker(shared, Confined(compressor)))
      }
      threads.append(try Self.startWriter(shared, output))
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
      try fill { room in
        let count = min(room.count, rest.count)
        room.copyMemory(from: UnsafeRawBufferPointer(rebasing: rest[..<count]))
        rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        return count
      }
    }
  }

  /// Lets `body` put bytes right into the stream, as many as it likes of the room it is given (which
  /// is never empty); it answers how many they were.
  @discardableResult
  public func fill(_ body: (UnsafeMutableRawBufferPointer) throws -> Int) throws -> Int {
    let block = try current ?? nextBlock()
    current = block
    let count = try body(block.room)
    block.inputCount += count
    if block.inputCount == blockSize { try submit() }
    return count
  }

  /// Ends the stream: waits until all of it is written and on the disk.
  ///
  public func finish() throws -> Output {
    if let current, current.inputCount > 0 { try submit() }
    shared.update { $0.isComplete = true }
    joinAll()
    let (failure, written) = shared.update {
      ($0.failure, Output(bytes: $0.bytesWritten, digest: $0.digest))
    }
    if let failure { throw failure }
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

  private func submit() throws {
    guard let block = current else { return }
    current = nil
    let isCompressing = isCompressing
    try shared.update { state in
      if let failure = state.failure { throw failure }
      block.number = state.submitted
      state.submitted += 1
      if isCompressing {
        state.raw.insert(block, at: 0)
      } else {
        state.ready[block.number] = block
      }
    }
  }

  /// Something on its way to the one thread that uses it.
  private struct Confined<Value>: @unchecked Sendable {
    let value: Value
    init(_ value: Value) { self.value = value }
  }

  private static func startWorker(
    _ shared: Monitor<State>, _ confined: Confined<any BlockCompressor>
  ) throws -> WorkerThread {
    try WorkerThread {
      while true {
        let next: Block?? = shared.wait { state in
          if state.failure != nil { return .some(nil) }
          if let block = state.raw.popLast() { return block }
          return state.isComplete ? .some(nil) : nil
        }
        guard case .some(.some(let block)) = next else { return }
        do {
          try confined.value.compress(block)
          shared.update { $0.ready[block.number] = block }
        } catch {
          shared.update { if $0.failure == nil { $0.failure = error } }
        }
      }
    }
  }

  private static func startWriter(
    _ shared: Monitor<State>, _ output: OpenFile
  ) throws -> WorkerThread {
    let digest = Confined(try RunningChecksum(.sha256))
    return try WorkerThread {
      var number: UInt64 = 0
      while true {
        let next: Block?? = shared.wait { state in
          if state.failure != nil { return .some(nil) }
          if let block = state.ready.removeValue(forKey: number) { return block }
          return state.isComplete && number == state.submitted ? .some(nil) : nil
        }
        guard case .some(.some(let block)) = next else {
          shared.update { $0.digest = digest.value.finish() }
          return
        }
        number += 1
        do {
          let bytes = block.outputCount > 0 ? block.compressed : block.filled
          try output.writeAll(bytes)
          digest.value.update(bytes)
          shared.update { state in
            state.bytesWritten += UInt64(bytes.count)
            block.inputCount = 0
            block.outputCount = 0
            state.free.append(block)
          }
        } catch {
          shared.update { if $0.failure == nil { $0.failure = error } }
        }
      }
    }
  }
}
