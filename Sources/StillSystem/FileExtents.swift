import CStill
import StillModel

/// A piece of a file, and where it lies on the device of its file system, in bytes.
public struct FileExtent: Hashable, Sendable {
  public var logical: UInt64
  public var physical: UInt64
  public var length: UInt64
  /// Reserved; reads as zeros.
  public var isUnwritten: Bool

  public init(logical: UInt64, physical: UInt64, length: UInt64, isUnwritten: Bool) {
    self.logical = logical
    self.physical = physical
    self.length = length
    self.isUnwritten = isUnwritten
  }
}

extension OpenFile {
  /// Where the file's content lies on its device, in the order of the file, without its holes (Linux,
  /// filesystems/fiemap.rst); nil where the file system does not say so of all of it, for one that lies
  /// inside the inode.
  ///
  /// - Parameter syncing: whether what waits in the page cache is written first; it has no place before.
  /// - Throws: where the kernel refuses.
  public func extents(syncing: Bool) throws -> [FileExtent]? {
    var found: [FileExtent] = []
    var start: UInt64 = 0
    while true {
      let part = try [still_extent](unsafeUninitializedCapacity: 64) { buffer, count in
        count = Int(
          try check("ask for the extents of", path.string) {
            still_extents(descriptor, start, syncing ? 1 : 0, buffer.baseAddress, 64)
          })
      }
      for extent in part {
        guard extent.is_untold == 0 else { return nil }
        found.append(
          FileExtent(
            logical: extent.logical, physical: extent.physical, length: extent.length,
            isUnwritten: extent.is_unwritten != 0))
      }
      guard let last = part.last, last.is_last == 0 else { return found }
      start = last.logical + last.length
    }
  }
}
