import StillModel
import StillSystem

/// A piece of an archive that can be decompressed by itself.
struct Frame: Hashable, Sendable {
  /// In the archive.
  var offset: UInt64
  /// Sizes in bytes: in the archive, and of what comes out.
  var compressed: Int
  var size: Int
}

/// An archive's content in stretches of up to a block, in their order.
protocol Stretches: AnyObject {
  /// Bytes of the largest stretch.
  var blockSize: Int { get }

  /// Prepares the next stretch in `block`, by one thread at a time.
  ///
  /// - Returns: false at the end.
  /// - Throws: `DamagedStream` where nothing more can be read.
  func next(_ block: Block) throws -> Bool

  /// Does the rest of the work on a stretch, by several threads, each with a decompressor of its
  /// own.
  ///
  /// - Throws: `DamagedStream` where this stretch cannot be read. The next one may be.
  func complete(_ block: Block, _ decompressor: (any BlockDecompressor)?) throws
}

/// How an archive is best read.
struct ArchivePlan {
  var packing: Packing
  var stretches: any Stretches

  /// Frames of others may be larger than ours, but not by so much that they fill the memory.
  private static let largestFrame = 8 << 20

  init(_ file: OpenFile) throws {
    var beginning = [UInt8](repeating: 0, count: 32)
    let count = try beginning.withUnsafeMutableBytes { try file.readFully(into: $0, at: 0) }
    beginning.removeLast(beginning.count - count)
    packing = Packing(beginning: beginning)
    switch packing {
    case .plain:
      stretches = PlainStretches(file, size: try file.metadata().size)
    case .zstd:
      if let frames = try SeekTable.read(file, largest: ArchivePlan.largestFrame) {
        stretches = FrameStretches(file, frames)
      } else {
        stretches = StreamStretches(try packing.source(file, from: 0))
      }
    case .gzip, .lz4:
      stretches = try ChainedStretches(file, packing)
    }
  }
}

/// A file as it is.
private final class PlainStretches: Stretches {
  let blockSize = CopyPipeline.standardBlockSize
  private let file: OpenFile
  private let size: UInt64
  private var offset: UInt64 = 0

  init(_ file: OpenFile, size: UInt64) {
    self.file = file
    self.size = size
  }

  func next(_ block: Block) throws -> Bool {
    guard offset < size else { return false }
    let count = Int(min(UInt64(blockSize), size - offset))
    block.frame = Frame(offset: offset, compressed: count, size: count)
    offset += UInt64(count)
    return true
  }

  func complete(_ block: Block, _ decompressor: (any BlockDecompressor)?) throws {
    let room = UnsafeMutableRawBufferPointer(rebasing: block.input[..<block.frame.size])
    block.inputCount = try file.readFully(into: room, at: block.frame.offset)
  }
}

/// Frames that are known beforehand.
private final class FrameStretches: Stretches {
  let blockSize: Int
  private let file: OpenFile
  private let frames: [Frame]
  private var index = 0

  init(_ file: OpenFile, _ frames: [Frame]) {
    self.file = file
    self.frames = frames
    // What the index says of a frame's size may be wrong, the frame itself all right.
    blockSize = max(CopyPipeline.standardBlockSize, frames.lazy.map(\.size).max() ?? 0)
  }

  func next(_ block: Block) throws -> Bool {
    guard index < frames.count else { return false }
    block.frame = frames[index]
    index += 1
    return true
  }

  func complete(_ block: Block, _ decompressor: (any BlockDecompressor)?) throws {
    try file.read(block.frame, into: block)
    try decompressor?.decompress(block)
  }
}

/// Anything that has to be read from its beginning.
final class StreamStretches: Stretches {
  let blockSize = CopyPipeline.standardBlockSize
  private let source: any ByteSource
  /// What is wrong behind the bytes that were still good.
  private var fault: DamagedStream?

  init(_ source: any ByteSource) { self.source = source }

  func next(_ block: Block) throws -> Bool {
    if let fault { throw fault }
    block.frame = Frame(offset: 0, compressed: 0, size: 0)
    do {
      while block.inputCount < blockSize {
        let room = UnsafeMutableRawBufferPointer(
          rebasing: block.input[block.inputCount..<blockSize])
        let count = try source.read(into: room)
        if count == 0 { break }
        block.inputCount += count
      }
    } catch let damage as DamagedStream where block.inputCount > 0 {
      fault = damage
    }
    return block.inputCount > 0
  }

  func complete(_ block: Block, _ decompressor: (any BlockDecompressor)?) {}
}

extension OpenFile {
  /// Reads a frame into a block's output.
  func read(_ frame: Frame, into block: Block) throws {
    block.reserveOutput(frame.compressed)
    let room = UnsafeMutableRawBufferPointer(rebasing: block.output[..<frame.compressed])
    block.outputCount = try readFully(into: room, at: frame.offset)
  }
}
