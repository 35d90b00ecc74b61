/// The blocks of one pipeline: there are so many and no more, and they are used again. Part of what
/// the pipeline's lock protects.
struct BlockPool {
  private let size: Int
  private var all: [Block] = []
  private var free: [Block] = []
  /// Blocks that are yet to be made.
  private var allowance: Int

  /// Blocks of `size` bytes: one being filled, one being written, one for each worker, and some
  /// between them.
  init(size: Int, workers: Int) {
    self.size = size
    allowance = workers + max(2, workers / 2) + 2
  }

  /// nil while all are in use.
  mutating func take() -> Block? {
    if let block = free.popLast() { return block }
    guard allowance > 0 else { return nil }
    allowance -= 1
    let block = Block(size: size)
    all.append(block)
    return block
  }

  /// Takes a block back when nobody needs it any more.
  mutating func drop(_ block: Block) {
    block.users -= 1
    guard block.users == 0 else { return }
    block.reset()
    free.append(block)
  }

  /// Closes every file that has content in a block; only when nobody works on one any more.
  func abandonFiles() {
    for block in all {
      for content in block.contents { content.file.abandon() }
      block.reset()
    }
  }

  /// Takes a block back that was not used.
  mutating func giveBack(_ block: Block) { free.append(block) }
}
