import StillModel
import StillSystem
import SystemPackage

/// Writes a tar archive (POSIX ustar with PAX records) into a compression pipeline.
///
/// Errors leave the archive unfinished: `abandon()` it then.
public final class TarWriter {
  /// What to do when a file has become shorter or longer since its size was taken.
  public enum ChangingFiles: Sendable {
    /// An error: the source is frozen or stopped, so it cannot be.
    case refuse
    /// Zeros for what is missing, and what is too much left out: PostgreSQL is at work on it, and
    /// WAL replay mends it (src/backend/backup/basebackup.c, sendFile).
    case fit
  }

  private let pipeline: CompressionPipeline
  private let checksum: RunningChecksum
  private let progress: (UInt64) -> Void
  /// Members so far.
  public private(set) var members: UInt64 = 0
  /// Bytes of content so far.
  public private(set) var contentBytes: UInt64 = 0

  /// Computes each file's checksum with `algorithm` in passing, and calls `progress` with every
  /// number of bytes read, so it has to be cheap.
  public init(
    _ pipeline: CompressionPipeline, checksum algorithm: ChecksumAlgorithm,
    progress: @escaping (UInt64) -> Void = { _ in }
  ) throws {
    self.pipeline = pipeline
    self.progress = progress
    checksum = try RunningChecksum(algorithm)
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

  /// Adds a file from where `source` stands: `member.size` bytes of it, each of which `inspect` gets
  /// to see on the way.
  ///
  /// - Throws: `.copying` when the file is shorter or longer than that, unless changes are to be
  ///   fitted.
  public func add(
    _ member: TarMember, from source: OpenFile, ifChanged changes: ChangingFiles = .refuse,
    inspect: ((UnsafeRawBufferPointer) -> Void)? = nil
  ) throws -> Checksum {
    try put(member.encodedHeader())
    var left = member.size
    var isShort = false
    while left > 0 {
      let got = try pipeline.fill { room in
        let piece = UnsafeMutableRawBufferPointer(
          rebasing: room[..<Int(min(UInt64(room.count), left))])
        var count = isShort ? 0 : try source.readFully(into: piece)
        if count < piece.count {
          guard changes == .fit else { throw sizeChanged(source, member, "shorter") }
          isShort = true
          piece[count...].initializeMemory(as: UInt8.self, repeating: 0)
          count = piece.count
        }
        let bytes = UnsafeRawBufferPointer(rebasing: piece[..<count])
        checksum.update(bytes)
        inspect?(bytes)
        return count
      }
      left -= UInt64(got)
      contentBytes += UInt64(got)
      progress(UInt64(got))
    }
    if changes == .refuse {
      let more = try withUnsafeTemporaryAllocation(byteCount: 1, alignment: 1) {
        try source.readSome(into: $0)
      }
      if more > 0 { throw sizeChanged(source, member, "longer") }
    }
    try pad(member.size)
    members += 1
    return checksum.finish()
  }

  /// Ends the archive, with two blocks of zeros, and puts it on the disk.
  ///
  public func finish() throws -> CompressionPipeline.Output {
    try put([UInt8](repeating: 0, count: 2 * TarFormat.blockSize))
    return try pipeline.finish()
  }

  /// Stops without ending the archive.
  public func abandon() { pipeline.abandon() }

  private func put(_ bytes: [UInt8]) throws {
    try bytes.withUnsafeBytes { try pipeline.append($0) }
  }

  private func pad(_ size: UInt64) throws {
    let padding = TarFormat.padding(size)
    if padding > 0 { try put([UInt8](repeating: 0, count: padding)) }
  }

  private func sizeChanged(_ source: OpenFile, _ member: TarMember, _ how: String) -> StillError {
    StillError(
      .copying, "\(source.path) is \(how) than the \(member.size) bytes it had a moment before",
      hint: "A frozen source cannot change: see whether the snapshot is still valid.")
  }
}
