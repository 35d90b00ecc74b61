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
}

/// A file's bytes as they are, a chunk ahead.
final class FileSource: ByteSource {
  /// 1 MiB: few calls, and small beside the blocks of the pipeline.
  private static let chunk = 1 << 20

  private let file: OpenFile
  private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: chunk, alignment: 4096)
  private var unread = 0..<0
  private var isAtEnd = false

  init(_ file: OpenFile) { self.file = file }

  deinit { buffer.deallocate() }

  /// What lies ahead and was not taken yet; empty at the end only.
  func ahead() throws -> UnsafeRawBufferPointer {
    if unread.isEmpty, !isAtEnd {
      let count = try file.readSome(into: buffer)
      unread = 0..<count
      isAtEnd = count == 0
    }
    return UnsafeRawBufferPointer(rebasing: buffer[unread])
  }

  /// Marks bytes of `ahead()` as taken.
  func take(_ count: Int) { unread.removeFirst(count) }

  /// The first bytes, up to `count`, without taking them. Only before anything was taken.
  func beginning(_ count: Int) throws -> [UInt8] {
    while unread.count < count, !isAtEnd {
      let room = UnsafeMutableRawBufferPointer(rebasing: buffer[unread.upperBound...])
      let got = try file.readSome(into: room)
      unread = unread.lowerBound..<(unread.upperBound + got)
      isAtEnd = got == 0
    }
    return Array(buffer[unread].prefix(count))
  }

  func read(into target: UnsafeMutableRawBufferPointer) throws -> Int {
    let bytes = try ahead()
    let count = min(bytes.count, target.count)
    target.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<count]))
    take(count)
    return count
  }
}
