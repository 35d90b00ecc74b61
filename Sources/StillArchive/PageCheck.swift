import CStill
import StillModel
import StillSystem
import SystemPackage

/// Says of a cluster with data checksums which pages are to be checked, and how.
///
/// Only pages that were not changed since the backup began: of the others the log holds what they
/// have to be, and a copy of them may well be torn (src/backend/backup/basebackup.c,
/// verify_page_checksum).
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
  /// relations.
  func inspector(of path: FilePath, _ file: OpenFile) -> PageInspector? {
    guard RelationFileName.areIn(path.removingLastComponent()),
      let last = path.components.last,
      let name = RelationFileName(Array(FilePath(root: nil, [last]).bytes))
    else { return nil }
    return PageInspector(self, file, firstBlock: name.segment &* pagesPerFile)
  }

  /// What a page is, by itself.
  enum Verdict: Hashable {
    case good, bad
    /// Nothing to be said: changed since `start`.
    case changed
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
    if LSN(UInt64(high) << 32 | UInt64(low)) >= start { return .changed }
    let stored = page.loadUnaligned(fromByteOffset: 8, as: UInt16.self)
    return stored == still_page_checksum(page.baseAddress, page.count, block) ? .good : .bad
  }
}

/// Checks the pages of one file while its bytes pass by, in pieces of any size.
final class PageInspector {
  private let check: PageCheck
  private let file: OpenFile
  private let firstBlock: UInt32
  private var index: UInt32 = 0
  /// The beginning of a page whose end is yet to come.
  private var rest: [UInt8] = []
  /// Block numbers in the relation, ascending.
  private(set) var bad: [UInt32] = []

  /// Above so many bad pages in one file nobody waits for them to become good.
  private static let patience = 100

  init(_ check: PageCheck, _ file: OpenFile, firstBlock: UInt32) {
    self.check = check
    self.file = file
    self.firstBlock = firstBlock
    rest.reserveCapacity(check.pageSize)
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
    rest += bytes
  }

  private func see(_ page: UnsafeRawBufferPointer) {
    let block = firstBlock &+ index
    if check.verdict(page, block: block) == .bad, isBadAgain(block) { bad.append(block) }
    index += 1
  }

  /// The server may have been writing the page while it was read: then it is good, or changed, when
  /// it is read again.
  private func isBadAgain(_ block: UInt32) -> Bool {
    for attempt in 1...2 {
      if attempt == 2, bad.count < PageInspector.patience { Clock.sleep(milliseconds: 10) }
      var page = [UInt8](repeating: 0, count: check.pageSize)
      let offset = UInt64(index) * UInt64(check.pageSize)
      let got = try? page.withUnsafeMutableBytes { try file.readFully(into: $0, at: offset) }
      // Cut off meanwhile; what cannot be read stays bad.
      if let got, got < check.pageSize { return false }
      if got != nil, page.withUnsafeBytes({ check.verdict($0, block: block) }) != .bad {
        return false
      }
    }
    return true
  }
}
