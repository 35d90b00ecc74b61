import Glibc
import StillModel

extension OpenFile {
  /// The next part of the file, from `offset` on, that is not a hole (lseek(2), "Seeking file data
  /// and holes"); nil where nothing but a hole is left. Where a file system knows nothing of holes,
  /// all of a file is data.
  ///
  /// Moves the position that `readSome` reads from.
  public func nextData(from offset: UInt64) throws -> Range<UInt64>? {
    let start = lseek(descriptor, off_t(offset), seekData)
    if start < 0 {
      let code = errno
      // Nothing behind it, be it for a hole or because the file ends before.
      if code == ENXIO { return nil }
      throw StillError.system("look for holes in", path.string, code)
    }
    // There is a hole behind every file.
    let end = lseek(descriptor, start, seekHole)
    if end > start { return UInt64(start)..<UInt64(end) }
    let code = errno
    // Cut off meanwhile, where somebody is at work on it.
    if end >= 0 || code == ENXIO { return nil }
    throw StillError.system("look for holes in", path.string, code)
  }
}

/// `SEEK_DATA` and `SEEK_HOLE` of <unistd.h>, which Swift sees only with GNU's extensions.
private let seekData: Int32 = 3
private let seekHole: Int32 = 4
