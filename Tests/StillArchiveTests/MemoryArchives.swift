import StillModel
import StillSystem
import Synchronization
import SystemPackage

@testable import StillArchive

/// A sink that keeps everything.
final class CollectingSink: TarSink {
  struct Entry: Equatable {
    var member: TarMember
    var content: [UInt8] = []
  }

  /// What the pieces of a file come together in.
  private final class Content: ContentSink {
    let bytes: Mutex<[UInt8]>

    init(size: UInt64, filler: UInt8) {
      bytes = Mutex([UInt8](repeating: filler, count: Int(size)))
    }

    func put(_ piece: UnsafeRawBufferPointer, at offset: UInt64) {
      bytes.withLock {
        $0.replaceSubrange(Int(offset)..<Int(offset) + piece.count, with: piece)
      }
    }

    func end(_ fault: String?) {}
  }

  private var members: [(TarMember, Content?)] = []

  func begin(_ member: TarMember) -> ArchivedFile? {
    guard member.kind == .file else {
      members.append((member, nil))
      return nil
    }
    let content = Content(size: member.size, filler: member.sparse == nil ? 0xEE : 0)
    members.append((member, content))
    return ArchivedFile(member, nil, to: content)
  }

  var entries: [Entry] {
    members.map { Entry(member: $0, content: $1?.bytes.withLock { $0 } ?? []) }
  }
}

/// Reads an archive that lies in memory.
func entries(of archive: [UInt8]) throws -> [CollectingSink.Entry] {
  let temporary = try TemporaryFolder()
  try temporary.write(archive, to: "archive")
  let sink = CollectingSink()
  try TarReader(try temporary.file("archive"), workers: 2).read(into: sink)
  return sink.entries
}

/// Writes an archive with small blocks, so that a few kilobytes make many of them.
func makeArchive(
  _ compression: Compression, workers: Int = 2, blockSize: Int = 4096,
  _ body: (TarWriter) throws -> Void
) throws -> [UInt8] {
  let temporary = try TemporaryFolder()
  let writer = try TarWriter(
    CopyPipeline(
      output: try temporary.file("archive", .create(permissions: 0o600)), compression: compression,
      workers: workers, blockSize: blockSize))
  try body(writer)
  let written = try writer.finish()
  let bytes = try temporary.read("archive")
  precondition(UInt64(bytes.count) == written.bytes)
  return bytes
}

/// A file as most are.
func plainFile(_ path: FilePath) -> TarMember { TarMember(path: path, kind: .file, mode: 0o600) }
