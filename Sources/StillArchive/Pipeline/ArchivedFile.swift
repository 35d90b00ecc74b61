import StillModel
import StillSystem

/// Where the content of a file goes when its archive is read.
protocol ContentSink: AnyObject, Sendable {
  /// Takes a piece. Pieces come in any order, from any thread, several at a time; a file without
  /// content comes as one that is empty.
  func put(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws

  /// Called once, after the last piece.
  ///
  /// - Parameter fault: what is wrong with the content; nil where all is well.
  func end(_ fault: String?) throws

  /// Tells of a file that has just this content, before the first piece: who can share its blocks may do
  /// so, and pass over the pieces.
  func share(_ source: OpenFile) throws
}

extension ContentSink {
  func share(_ source: OpenFile) throws {}
}

/// The content of a file on its way out of an archive: workers take its pieces to where they go, and
/// compare them, in their order, with what the manifest says.
final class ArchivedFile: PassingFile, @unchecked Sendable {
  let size: UInt64
  let sparse: SparseMap?
  private let expected: ManifestFile?
  private let sink: any ContentSink
  private let pieces = InOrder<(block: Block, content: BlockContent)>()
  /// Of those pieces; used by one thread at a time, as they are handled.
  private var checksum: OrderedChecksum?

  /// - Parameter expected: nil where nobody knows what the content has to be.
  init(_ member: TarMember, _ expected: ManifestFile?, to sink: any ContentSink) {
    size = member.size
    sparse = member.sparse
    self.expected = expected
    self.sink = sink
  }

  func read(into room: UnsafeMutableRawBufferPointer, at offset: UInt64) {}

  func work(
    on content: BlockContent, in block: Block, _ checksums: Checksums, _ done: (Block) -> Void
  ) throws {
    let bytes = block.bytes(content)
    try sink.put(bytes, at: content.offset)
    if content.isWhole {
      let checksum = try expected.map { try checksums.of(bytes, $0.checksum.algorithm) }
      return try sink.end(fault(checksum))
    }
    try pieces.bring((block, content), number: content.number) { block, content in
      if let expected, checksum == nil {
        checksum = try OrderedChecksum(expected.checksum.algorithm)
      }
      try checksum?.take(block.bytes(content), at: content.offset, checksums)
      done(block)
      if content.isLast { try sink.end(fault(checksum?.finish(size: size, checksums))) }
    }
  }

  func abandon() { pieces.abandon() }

  /// Takes all of an open file that is no archive's: used by one thread, instead of the pieces.
  func take(_ source: OpenFile, _ tools: WorkCrew.Tools) throws {
    try sink.share(source)
    var running = try expected.map { try OrderedChecksum($0.checksum.algorithm) }
    if size == 0 { try sink.put(UnsafeRawBufferPointer(start: nil, count: 0), at: 0) }
    for part in sparse?.data ?? [0..<size] {
      var offset = part.lowerBound
      while offset < part.upperBound {
        try tools.checkpoint()
        let count = Int(min(part.upperBound - offset, UInt64(tools.room.count)))
        let room = UnsafeMutableRawBufferPointer(rebasing: tools.room[..<count])
        // What cannot be read is the fault of this file alone.
        let got: Int
        do { got = try source.readFully(into: room, at: offset) } catch let error as StillError {
          return try sink.end(error.message)
        }
        let bytes = UnsafeRawBufferPointer(rebasing: room[..<got])
        try sink.put(bytes, at: offset)
        try running?.take(bytes, at: offset, tools.checksums)
        guard got == count else { return try sink.end("it was cut short while it was read") }
        offset += UInt64(count)
      }
    }
    try sink.end(fault(running?.finish(size: size, tools.checksums)))
  }

  /// Called instead of handing in the last pieces, where some could not be read.
  func lose(_ fault: String) throws { try sink.end(fault) }

  private func fault(_ found: Checksum?) -> String? {
    guard let expected, let found else { return nil }
    if size != expected.size { return "it has \(size) bytes instead of \(expected.size)" }
    if found != expected.checksum {
      return
        "its \(found.algorithm.rawValue) checksum is \(found) instead of \(expected.checksum)"
    }
    return nil
  }
}
