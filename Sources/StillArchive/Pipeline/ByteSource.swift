import StillModel
import StillSystem

/// Something that bytes come from, one after the other.
protocol ByteSource: AnyObject {
  /// Puts at least one byte into `buffer` and answers how many; 0 at the end only.
  ///
  /// - Throws: `DamagedStream` where the bytes are not what they should be; `StillError` where they
  ///   cannot be read.
  func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int
}

/// What is wrong with an archive's bytes, in words that follow "is damaged: ".
struct DamagedStream: Error {
  var reason: String
  /// So many bytes of the stream are lost here, and it goes on behind them; nil where it is not the
  /// stream that is at fault, or nothing of it is left.
  var gap: UInt64?
}

/// A file's bytes as they are, a chunk ahead.
final class FileSource: ByteSource {
  /// 1 MiB: few calls, and small beside the blocks of the pipeline.
  private static let chunk = 1 << 20

  private let file: OpenFile
  private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: chunk, alignment: 4096)
  private var offset: UInt64
  private var unread = 0..<0

  init(_ file: OpenFile, from offset: UInt64) {
    self.file = file
    self.offset = offset
  }

  deinit { buffer.deallocate() }

  /// What lies ahead and was not taken yet; empty at the end only.
  func ahead() throws -> UnsafeRawBufferPointer {
    if unread.isEmpty {
      let count = try file.readFully(into: buffer, at: offset)
      offset += UInt64(count)
      unread = 0..<count
    }
    return UnsafeRawBufferPointer(rebasing: buffer[unread])
  }

  /// Marks bytes of `ahead()` as taken.
  func take(_ count: Int) { unread.removeFirst(count) }

  func read(into target: UnsafeMutableRawBufferPointer) throws -> Int {
    let bytes = try ahead()
    let count = min(bytes.count, target.count)
    target.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<count]))
    take(count)
    return count
  }
}
