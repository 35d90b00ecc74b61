import CStill
import StillModel
import StillSystem
import SystemPackage

/// Says of a cluster with data checksums which pages are to be checked, and how.
///
/// Pages that were changed since the backup began may well be torn in the copy, and the log holds
/// what they have to be (src/backend/backup/basebackup.c, verify_page_checksum). But only up to the
/// backup's end: a page is written after the log of its change, so none in the copy can be of a later
/// change. One that says so says nothing true, and its checksum counts.
public struct PageCheck: Hashable, Sendable {
  /// Where the backup's log begins.
  public var start: LSN
  /// Bytes of a page.
  public var pageSize: Int
  /// Pages of each file of a relation but its last.
  public var pagesPerFile: UInt32

  public init(start: LSN, _ control: ControlFile) {
    self.start = start
    pageSize = Int(control.blockSize)
    pagesPerFile = control.blocksPerFile
  }

  /// The checker for a file, by its path counted from the data directory; nil for files that are no
  /// relations. `reread` fills the room it is given with what is at an offset now, and answers how
  /// much there was.
  func inspector(
    of path: FilePath,
    reread: @escaping (UnsafeMutableRawBufferPointer, UInt64) throws -> Int
  ) -> PageInspector? {
    guard RelationFileName.areIn(path.removingLastComponent()),
      let last = path.components.last,
      let name = RelationFileName(Array(FilePath(root: nil, [last]).bytes))
    else { return nil }
    return PageInspector(self, reread, firstBlock: name.segment &* pagesPerFile)
  }

  /// What a page is, by itself.
  enum Verdict: Hashable {
    case good, bad
    /// The checksum is wrong, but the page says that it was changed here, since `start`: then the log
    /// has it, if it reaches so far.
    case changed(LSN)
  }

  /// - Parameter page: `pageSize` bytes.
  func verdict(_ page: UnsafeRawBufferPointer, block: UInt32) -> Verdict {
    // PageHeaderData of src/include/storage/bufpage.h: pd_lsn, in two halves, the upper one first,
    // pd_checksum, pd_flags, pd_lower, pd_upper.
    let upper = page.loadUnaligned(fromByteOffset: 14, as: UInt16.self)
    if upper == 0 {
      // Never written since the file was extended; then it is zeros through and through.
      return page.allSatisfy { $0 == 0 } ? .good : .bad
    }
    let high = page.loadUnaligned(fromByteOffset: 0, as: UInt32.self)
    let low = page.loadUnaligned(fromByteOffset: 4, as: UInt32.self)
    let stored = page.loadUnaligned(fromByteOffset: 8, as: UInt16.self)
    if stored == still_page_checksum(page.baseAddress, page.count, block) { return .good }
    let changed = LSN(UInt64(high) << 32 | UInt64(low))
    return changed >= start ? .changed(changed) : .bad
  }
}

/// What was found of one file's pages, to be judged when it is known where the log ends.
public struct CheckedPages: Sendable {
  struct Change: Sendable {
    var block: UInt32
    /// What the page gives as the end of its last change's record.
    var position: LSN
  }

  var file: String
  var bad: [UInt32]
  var changed: [Change]

  /// The damaged pages, in a backup whose log reaches to `stop`; nil where there are none.
  public func badPages(before stop: LSN) -> BadPages? {
    let all = (bad + changed.filter { $0.position > stop }.map(\.block)).sorted()
    return all.isEmpty ? nil : BadPages(file: file, blocks: all)
  }
}

/// Checks the pages of one file while its bytes pass by, in pieces of any size.
final class PageInspector {
  private let check: PageCheck
  private let reread: (UnsafeMutableRawBufferPointer, UInt64) throws -> Int
  private let firstBlock: UInt32
  private var index: UInt32 = 0
  /// The beginning of a page whose end is yet to come.
  private var rest: [UInt8] = []
  /// Block numbers in the relation, ascending.
  private(set) var bad: [UInt32] = []
  /// Those whose checksum is wrong because they were being written, if they tell the truth.
  private(set) var changed: [CheckedPages.Change] = []

  /// Above so many bad pages in one file nobody waits for them to become good.
  private static let patience = 100

  fileprivate init(
    _ check: PageCheck,
    _ reread: @escaping (UnsafeMutableRawBufferPointer, UInt64) throws -> Int, firstBlock: UInt32
  ) {
    self.check = check
    self.reread = reread
    self.firstBlock = firstBlock
  }

  /// Takes the next bytes of the file. What is left at its end and is no whole page, is no page yet.
  func take(_ bytes: UnsafeRawBufferPointer) {
    var bytes = bytes
    if !rest.isEmpty {
      let count = min(check.pageSize - rest.count, bytes.count)
      rest += bytes[..<count]
      bytes = UnsafeRawBufferPointer(rebasing: bytes[count...])
      guard rest.count == check.pageSize else { return }
      rest.withUnsafeBytes { see($0) }
      rest.removeAll(keepingCapacity: true)
    }
    while bytes.count >= check.pageSize {
      see(UnsafeRawBufferPointer(rebasing: bytes[..<check.pageSize]))
      bytes = UnsafeRawBufferPointer(rebasing: bytes[check.pageSize...])
    }
    if !bytes.isEmpty {
      rest.reserveCapacity(check.pageSize)
      rest += bytes
    }
  }

  /// Takes the next bytes of a file with holes. The pages of a hole are zeros, and good.
  func take(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) {
    let size = UInt64(check.pageSize)
    let position = UInt64(index) * size + UInt64(rest.count)
    if offset > position {
      // The end of the page that has begun, whole pages, the beginning of another.
      let end = rest.isEmpty ? position : min(offset, (UInt64(index) + 1) * size)
      takeZeros(Int(end - position))
      if offset > end {
        index += UInt32((offset - end) / size)
        takeZeros(Int((offset - end) % size))
      }
    }
    take(bytes)
  }

  private func takeZeros(_ count: Int) {
    let zeros = [UInt8](repeating: 0, count: count)
    zeros.withUnsafeBytes { take($0) }
  }

  private func see(_ page: UnsafeRawBufferPointer) {
    let block = firstBlock &+ index
    switch check.verdict(page, block: block) {
    case .good: break
    case .bad: if isBadAgain(block) { bad.append(block) }
    case .changed(let position): changed.append(.init(block: block, position: position))
    }
    index += 1
  }

  /// The server may have been writing the page while it was read: then it is good, or changed, when
  /// it is read again.
  private func isBadAgain(_ block: UInt32) -> Bool {
    for attempt in 1...2 {
      if attempt == 2, bad.count < PageInspector.patience { Clock.sleep(milliseconds: 10) }
      var page = [UInt8](repeating: 0, count: check.pageSize)
      let offset = UInt64(index) * UInt64(check.pageSize)
      let got = try? page.withUnsafeMutableBytes { try reread($0, offset) }
      // Cut off meanwhile; what cannot be read stays bad.
      if let got, got < check.pageSize { return false }
      if got != nil, page.withUnsafeBytes({ check.verdict($0, block: block) }) != .bad {
        return false
      }
    }
    return true
  }
}
