/// A piece of the stream on its way through the pipeline: what goes in and what comes out.
///
/// One thread has it at a time; the pipeline's monitor hands it from one to the next, which is what
/// makes it Sendable. Several may read its input at the same time, once that is complete.
final class Block: @unchecked Sendable {
  private static let pageSize = 4096

  /// Its place in the stream, counted from 0.
  var number: UInt64 = 0
  let input: UnsafeMutableRawBufferPointer
  var inputCount = 0
  /// Empty until somebody compresses into it.
  private(set) var output = UnsafeMutableRawBufferPointer(start: nil, count: 0)
  var outputCount = 0
  /// While an archive is read: where this is in it, and what is wrong with it.
  var frame = Frame(offset: 0, compressed: 0, size: 0)
  var fault: DamagedStream?
  /// What of the input is content of files, in its order.
  var contents: [BlockContent] = []
  /// Who still needs it. Counted by the pipeline, under its lock.
  var users = 0

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
  /// What lies in the archive for it.
  var stored: UnsafeRawBufferPointer { outputCount > 0 ? compressed : filled }

  /// Makes `output` hold at least `size` bytes.
  func reserveOutput(_ size: Int) {
    guard output.count < size else { return }
    output.deallocate()
    output = .allocate(byteCount: size, alignment: Block.pageSize)
  }

  /// Empties it for the next round.
  func reset() {
    inputCount = 0
    outputCount = 0
    fault = nil
    contents.removeAll(keepingCapacity: true)
  }
}

/// Content of a file, or a piece of it, within a block.
struct BlockContent {
  let file: any PassingFile
  /// Where it is in the block's input.
  let range: Range<Int>
  /// Where it is in the file.
  let offset: UInt64
  /// Of the file's pieces, counted from 0.
  let number: Int
  /// Whether it is in the block already; else a worker reads it.
  var isThere = true

  var isWhole: Bool { UInt64(range.count) == file.size }
  var isLast: Bool { offset + UInt64(range.count) == file.dataEnd }
}

/// A file whose content passes through a pipeline, in blocks, in one direction or the other.
protocol PassingFile: AnyObject, Sendable {
  /// In bytes.
  var size: UInt64 { get }
  /// Where its data is; nil for a file without holes.
  var sparse: SparseMap? { get }

  /// Reads a piece into its block, where it is not there yet.
  func read(into room: UnsafeMutableRawBufferPointer, at offset: UInt64) throws

  /// Does what there is to be done with a piece; pieces come in any order, from any thread.
  /// `checksums` are the thread's own. For a piece that is not the whole file, `done` is called when
  /// its block is not needed for it any more.
  func work(
    on content: BlockContent, in block: Block, _ checksums: Checksums, _ done: (Block) -> Void
  ) throws

  /// Nothing more comes, and nothing more is done with the pieces that wait.
  func abandon()
}

extension PassingFile {
  /// Behind the last of its data there are only zeros.
  var dataEnd: UInt64 { sparse.map { $0.data.last?.upperBound ?? 0 } ?? size }
}

extension Block {
  func bytes(_ content: BlockContent) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: input[content.range])
  }

  /// How many of its contents are pieces only, which may have to wait for others.
  var pieceCount: Int { contents.count { !$0.isWhole } }

  /// Reads the content that is not there yet.
  func readContents() throws {
    for content in contents where !content.isThere {
      try content.file.read(
        into: UnsafeMutableRawBufferPointer(rebasing: input[content.range]), at: content.offset)
    }
  }

  /// Does what there is to be done with the files that are in it whole.
  func workOnWholes(_ checksums: Checksums) throws {
    for content in contents where content.isWhole {
      try content.file.work(on: content, in: self, checksums) { _ in }
    }
  }

  /// Does what there is to be done with the pieces of files, as far as it is their turn; `done` is
  /// called for each block, this one or an earlier one, when a piece does not need it any more.
  func workOnPieces(_ checksums: Checksums, _ done: (Block) -> Void) throws {
    for content in contents where !content.isWhole {
      try content.file.work(on: content, in: self, checksums, done)
    }
  }
}
