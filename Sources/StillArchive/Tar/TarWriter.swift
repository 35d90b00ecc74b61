import StillModel
import StillSystem
import SystemPackage

/// Writes a tar archive (POSIX ustar with PAX records) into a compression pipeline.
///
/// Errors leave the archive unfinished; the threads behind it end when the writer is dropped.
public final class TarWriter {
  /// What to do when a file has become shorter or longer since its size was taken.
  public enum ChangingFiles: Sendable {
    /// An error: the source is frozen or stopped, so it cannot be.
    case refuse
    /// Zeros for what is missing, and what is too much left out: PostgreSQL is at work on it, and
    /// WAL replay mends it (src/backend/backup/basebackup.c, sendFile).
    case fit
  }

  private let pipeline: CopyPipeline
  private let checksum: RunningChecksum
  private let progress: (UInt64) -> Void
  /// Members so far.
  public private(set) var members: UInt64 = 0
  /// Bytes of content so far.
  public private(set) var contentBytes: UInt64 = 0

  /// Calls `progress` with every number of bytes read, so it has to be cheap.
  public init(_ pipeline: CopyPipeline, progress: @escaping (UInt64) -> Void = { _ in }) throws {
    self.pipeline = pipeline
    self.progress = progress
    checksum = try RunningChecksum(pipeline.checksum)
  }

  /// Adds a member without content: a folder or a link.
  public func add(_ member: TarMember) throws {
    precondition(member.size == 0, "content belongs to the member")
    try put(member.encodedHeader())
    members += 1
  }

  /// Adds a file whose content is these bytes; sets the member's size.
  public func add(_ member: TarMember, content: [UInt8]) throws -> Checksum {
    var member = member
    member.size = UInt64(content.count)
    try put(member.encodedHeader())
    try put(content)
    content.withUnsafeBytes { checksum.update($0) }
    try pad(member.size)
    progress(member.size)
    members += 1
    contentBytes += member.size
    return checksum.finish()
  }

  /// Adds a file, `member.size` bytes of it, holes included. What comes of it is known when the pipeline has come so
  /// far.
  ///
  /// - Throws: `.copying`, here or from a later call, when the file is shorter or longer than that,
  ///   unless changes are to be fitted.
  func add(_ member: TarMember, _ file: CopiedFile) throws {
    precondition(member.size == file.size, "the header says how long the content is")
    try put(member.encodedHeader())
    try pipeline.append(file) { bytes in
      contentBytes += bytes
      progress(bytes)
    }
    try pad(member.storedSize)
    members += 1
  }

  /// Waits until everything that was added has been read.
  func waitUntilRead() throws { try pipeline.waitUntilRead() }

  /// Ends the archive, with two blocks of zeros, and puts it on the disk.
  public func finish() throws -> CopyPipeline.Output {
    try put([UInt8](repeating: 0, count: 2 * TarFormat.blockSize))
    return try pipeline.finish()
  }

  private func put(_ bytes: [UInt8]) throws {
    try bytes.withUnsafeBytes { try pipeline.append($0) }
  }

  private func pad(_ size: UInt64) throws {
    let padding = TarFormat.padding(size)
    if padding > 0 { try put([UInt8](repeating: 0, count: padding)) }
  }
}
