/// A piece of the stream on its way through the pipeline: what goes in and what comes out.
///
/// One thread has it at a time; the pipeline's monitor hands it from one to the next, which is what
/// makes it Sendable.
final class Block: @unchecked Sendable {
  private static let pageSize = 4096

  /// Its place in the stream, counted from 0.
  var number: UInt64 = 0
  let input: UnsafeMutableRawBufferPointer
  var inputCount = 0
  /// Empty until somebody compresses into it.
  private(set) var output = UnsafeMutableRawBufferPointer(start: nil, count: 0)
  var outputCount = 0

  init(size: Int) {
    input = .allocate(byteCount: size, alignment: Block.pageSize)
  }

  deinit {
    input.deallocate()
    output.deallocate()
  }

  var filled: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: input[..<inputCount]) }
  var room: UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(rebasing: input[inputCount...])
  }
  var compressed: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: output[..<outputCount])
  }

  /// Makes `output` hold at least `size` bytes.
  func reserveOutput(_ size: Int) {
    guard output.count < size else { return }
    output.deallocate()
    output = .allocate(byteCount: size, alignment: Block.pageSize)
  }
}
