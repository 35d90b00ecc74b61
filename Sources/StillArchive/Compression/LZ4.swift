import CLZ4
import StillModel

/// Each block becomes an LZ4 frame (doc/lz4_Frame_format.md in LZ4's repository) of independent
/// pieces of up to 4 MiB, with content size and checksum.
final class LZ4Compressor: BlockCompressor {
  private var preferences = LZ4F_preferences_t()

  init() {
    preferences.frameInfo.blockSizeID = LZ4F_max4MB
    preferences.frameInfo.blockMode = LZ4F_blockIndependent
    preferences.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled
  }

  func compress(_ block: Block) throws {
    preferences.frameInfo.contentSize = UInt64(block.inputCount)
    block.reserveOutput(LZ4F_compressFrameBound(block.inputCount, &preferences))
    let result = LZ4F_compressFrame(
      block.output.baseAddress, block.output.count, block.input.baseAddress, block.inputCount,
      &preferences)
    guard LZ4F_isError(result) == 0 else {
      throw StillError(
        .failed, "lz4 cannot compress: \(String(cString: LZ4F_getErrorName(result)))")
    }
    block.outputCount = result
  }
}

/// A frame as `LZ4Compressor` writes it: a header with the content's size, one piece and the end.
enum LZ4Frame {
  static let magic: [UInt8] = [0x04, 0x22, 0x4D, 0x18]
  /// Magic number, flags, sizes of pieces, content size, checksum; then the piece's size.
  static let headerSize = 4 + 1 + 1 + 8 + 1 + 4
  /// The end mark and the content's checksum.
  private static let endSize = 4 + 4
  /// Version 1, independent pieces, content size and checksum, nothing else.
  private static let flags: UInt8 = 0b0110_1100
  /// Of pieces: 64 KiB, 256 KiB, 1 MiB, 4 MiB; as small as the content allows.
  private static let pieceSizes: Set<UInt8> = [0x40, 0x50, 0x60, 0x70]
  static let beginning = magic + [flags]

  /// Sizes of the frame that begins so, and of its content; nil for others than ours.
  static func sizes(_ header: [UInt8]) -> (compressed: Int, content: Int)? {
    guard header.count >= headerSize, header.starts(with: beginning),
      pieceSizes.contains(header[5])
    else { return nil }
    func number(_ range: Range<Int>) -> Int {
      header[range].reversed().reduce(0) { $0 << 8 | Int($1) }
    }
    guard header[6..<14].last == 0 else { return nil }
    // The highest bit says that the piece is not compressed.
    let piece = number(15..<19) & 0x7FFF_FFFF
    return (headerSize + piece + endSize, number(6..<14))
  }
}

extension LZ4Frame {
  /// Whether somebody has written this header so: its checksum is right.
  static func isWhole(_ header: [UInt8]) throws -> Bool { try LZ4Context().accepts(header) }
}

/// One frame at a time.
final class LZ4Decompressor: BlockDecompressor {
  private let context: LZ4Context

  init() throws { context = try LZ4Context() }

  func decompress(_ block: Block) throws {
    var (done, used) = (0, 0)
    var isOver = false
    while !isOver {
      var count = block.input.count - done
      var taken = block.outputCount - used
      isOver = try context.decompress(
        block.output.baseAddress.map { $0 + used }, &taken,
        block.input.baseAddress.map { $0 + done }, &count)
      done += count
      used += taken
      if taken == 0, count == 0 { break }
    }
    guard isOver, used == block.outputCount else {
      context.reset()
      throw DamagedStream(reason: "lz4: a frame is of another size")
    }
    block.inputCount = done
  }
}

/// LZ4 frames one after the other, skippable ones among them.
final class LZ4Source: ByteSource {
  private let source: FileSource
  private let context: LZ4Context
  private var isInFrame = false

  init(_ source: FileSource) throws {
    self.source = source
    context = try LZ4Context()
  }

  func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    while true {
      let ahead = try source.ahead()
      if ahead.isEmpty, !isInFrame { return 0 }
      var taken = ahead.count
      var count = buffer.count
      let isOver = try context.decompress(
        ahead.baseAddress, &taken, buffer.baseAddress, &count)
      source.take(taken)
      isInFrame = !isOver
      if count > 0 { return count }
      // An ended file may still have output waiting in the decompressor; with none, it is cut.
      if ahead.isEmpty { throw DamagedStream(reason: "it is cut short within an lz4 frame") }
    }
  }
}

private final class LZ4Context {
  private let context: OpaquePointer

  init() throws {
    var context: OpaquePointer?
    let result = LZ4F_createDecompressionContext(&context, UInt32(LZ4F_VERSION))
    guard LZ4F_isError(result) == 0, let context else {
      throw StillError(.failed, "no memory for decompressing lz4")
    }
    self.context = context
  }

  deinit { LZ4F_freeDecompressionContext(context) }

  func accepts(_ header: [UInt8]) -> Bool {
    var info = LZ4F_frameInfo_t()
    var count = header.count
    return LZ4F_isError(LZ4F_getFrameInfo(context, &info, header, &count)) == 0
  }

  /// Forgets the frame that it is in.
  func reset() { LZ4F_resetDecompressionContext(context) }

  /// Takes up to `taken` bytes and makes up to `count`; both are set to what it was. True at the end
  /// of a frame.
  func decompress(
    _ from: UnsafeRawPointer?, _ taken: inout Int, _ to: UnsafeMutableRawPointer?,
    _ count: inout Int
  ) throws -> Bool {
    let result = LZ4F_decompress(context, to, &count, from, &taken, nil)
    guard LZ4F_isError(result) == 0 else {
      // What it holds is of no more use.
      reset()
      throw DamagedStream(reason: "lz4: \(String(cString: LZ4F_getErrorName(result)))")
    }
    return result == 0
  }
}
