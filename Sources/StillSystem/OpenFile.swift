import CStill
import Glibc
import StillModel
import SystemPackage

/// An open file. Closed by `close()`, which can fail and says so, or silently when dropped.
///
/// Sendable because the descriptor never changes and the kernel orders calls on it; `close()` may be
/// called once only, by the one who is done with it.
public final class OpenFile: @unchecked Sendable {
  public let descriptor: Int32
  /// For messages.
  public let path: FilePath
  private var isOpen = true

  public enum Mode: Sendable {
    case read
    /// The same for a name that may turn out to be a FIFO, without waiting for its other end.
    case readWithoutWaiting
    /// For a new file only; fails if the name is taken.
    case create(permissions: UInt32)
    /// For writing, made if it is missing, kept if it is there.
    case update(permissions: UInt32)
  }

  public init(descriptor: Int32, path: FilePath) {
    self.descriptor = descriptor
    self.path = path
  }

  deinit { if isOpen { Glibc.close(descriptor) } }

  /// Opens a file by its path; a link in the last place is not followed.
  public static func open(_ path: FilePath, _ mode: Mode = .read) throws -> OpenFile {
    try open(path, in: AT_FDCWD, mode, shown: path)
  }

  /// A pipe: what is written to one end is read from the other.
  public static func pipe() throws -> (reading: OpenFile, writing: OpenFile) {
    var ends: [Int32] = [-1, -1]
    _ = try check("create", "a pipe") { still_pipe(&ends) }
    return (
      OpenFile(descriptor: ends[0], path: "pipe"), OpenFile(descriptor: ends[1], path: "pipe")
    )
  }

  /// A new file in memory, which goes when nobody has it open any more.
  public static func inMemory() throws -> OpenFile {
    let descriptor = try check("create", "a file in memory") { still_memory_file("pgstill") }
    return OpenFile(descriptor: descriptor, path: "memory")
  }

  /// This process's stdin.
  public static var standardInput: OpenFile { OpenFile(descriptor: STDIN_FILENO, path: "stdin") }

  /// Another descriptor of this process's stderr.
  public static func copyOfStandardError() throws -> OpenFile {
    let descriptor = try check("copy", "stderr") { fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3) }
    return OpenFile(descriptor: descriptor, path: "stderr")
  }

  /// Opens a device past the page cache: buffers, sizes and offsets have to be whole blocks (open(2),
  /// "O_DIRECT").
  public static func openDirect(_ path: FilePath, writes: Bool) throws -> OpenFile {
    let descriptor = try check("open", path.string) {
      path.withPlatformString { still_open_direct($0, writes ? 1 : 0) }
    }
    return OpenFile(descriptor: descriptor, path: path)
  }

  static func open(
    _ name: FilePath, in folder: Int32, _ mode: Mode, shown: FilePath
  ) throws -> OpenFile {
    let flags: Int32
    let permissions: UInt32
    let action: String
    switch mode {
    case .read: (flags, permissions, action) = (O_RDONLY, 0, "open")
    case .readWithoutWaiting: (flags, permissions, action) = (O_RDONLY | O_NONBLOCK, 0, "open")
    case .create(let bits):
      (flags, permissions, action) = (O_WRONLY | O_CREAT | O_EXCL, bits, "create")
    case .update(let bits): (flags, permissions, action) = (O_RDWR | O_CREAT, bits, "open")
    }
    let descriptor = try check(action, shown.string) {
      name.withPlatformString { still_openat(folder, $0, flags, permissions) }
    }
    return OpenFile(descriptor: descriptor, path: shown)
  }

  public func metadata() throws -> FileMetadata {
    var status = stat()
    _ = try check("examine", path.string) { fstat(descriptor, &status) }
    return FileMetadata(status)
  }

  /// Reads until `buffer` is full or the file ends; returns how many bytes there were.
  public func readFully(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    var done = 0
    while done < buffer.count, let base = buffer.baseAddress {
      let got = try check("read", path.string) {
        read(descriptor, base + done, buffer.count - done)
      }
      if got == 0 { break }
      done += got
    }
    return done
  }

  /// Reads at most `buffer.count` bytes; 0 at the end of the file.
  public func readSome(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    guard let base = buffer.baseAddress else { return 0 }
    return try check("read", path.string) { read(descriptor, base, buffer.count) }
  }

  /// Reads `buffer.count` bytes from `offset`, fewer at the end of the file.
  public func readFully(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws -> Int
  {
    var done = 0
    while done < buffer.count, let base = buffer.baseAddress {
      let got = try check("read", path.string) {
        pread(descriptor, base + done, buffer.count - done, off_t(offset) + off_t(done))
      }
      if got == 0 { break }
      done += got
    }
    return done
  }

  /// The whole rest of a small file.
  ///
  /// - Throws: also when it is larger than `limit` bytes.
  public func readAll(limit: Int = 64 << 20) throws -> [UInt8] {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      let got = try chunk.withUnsafeMutableBytes { try readSome(into: $0) }
      if got == 0 { return bytes }
      bytes += chunk[..<got]
      if bytes.count > limit {
        throw StillError(.failed, "\(path) is larger than \(ByteCount.text(UInt64(limit)))")
      }
    }
  }

  /// Writes all of `buffer`.
  public func writeAll(_ buffer: UnsafeRawBufferPointer) throws {
    var done = 0
    while done < buffer.count, let base = buffer.baseAddress {
      done += try check("write", path.string) {
        write(descriptor, base + done, buffer.count - done)
      }
    }
  }

  public func writeAll(_ bytes: [UInt8]) throws {
    try bytes.withUnsafeBytes { try writeAll($0) }
  }

  /// Writes all of `buffer` at `offset`.
  public func writeAll(_ buffer: UnsafeRawBufferPointer, at offset: UInt64) throws {
    var done = 0
    while done < buffer.count, let base = buffer.baseAddress {
      done += try check("write", path.string) {
        pwrite(descriptor, base + done, buffer.count - done, off_t(offset) + off_t(done))
      }
    }
  }

  /// What the kernel may expect of a range of the file (posix_fadvise(2)).
  public enum Advice: Sendable {
    /// It will be read soon.
    case willNeed
    /// It will not be read again.
    case dontNeed
  }

  /// Tells the kernel; it may do as it likes.
  public func advise(_ advice: Advice, _ offset: UInt64, _ count: Int) {
    let word = advice == .willNeed ? POSIX_FADV_WILLNEED : POSIX_FADV_DONTNEED
    posix_fadvise(descriptor, off_t(offset), off_t(count), word)
  }

  /// Lets the kernel begin to put a range on the disk, and waits for nothing
  /// (sync_file_range(2)). Only a `sync()` says that it is there.
  public func startWriting(_ offset: UInt64, _ count: Int) {
    still_start_writing(descriptor, Int64(offset), Int64(count))
  }

  public func truncate(to size: UInt64) throws {
    _ = try check("truncate", path.string) { ftruncate(descriptor, off_t(size)) }
  }

  public func rewind() throws {
    _ = try check("rewind", path.string) { lseek(descriptor, 0, SEEK_SET) }
  }

  /// Puts everything written so far on the disk.
  public func sync() throws {
    _ = try check("sync", path.string) { fsync(descriptor) }
  }

  /// Writes all of `bytes` at `offset` and puts the content on the disk (fdatasync(2)).
  public func writeDurably(_ bytes: [UInt8], at offset: UInt64) throws {
    try bytes.withUnsafeBytes { try writeAll($0, at: offset) }
    _ = try check("sync", path.string) { fdatasync(descriptor) }
  }

  public func close() throws {
    guard isOpen else { return }
    isOpen = false
    if Glibc.close(descriptor) != 0 {
      let code = errno
      throw StillError.system("close", path.string, code)
    }
  }
}
