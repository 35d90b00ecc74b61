import StillModel
import StillSystem
import SystemPackage

@testable import StillArchive

/// A sink that keeps everything.
final class CollectingSink: TarSink {
  struct Entry: Equatable {
    var member: TarMember
    var content: [UInt8] = []
  }
  var entries: [Entry] = []

  func begin(_ member: TarMember) { entries.append(Entry(member: member)) }
  func data(_ bytes: UnsafeRawBufferPointer) { entries[entries.count - 1].content += bytes }
  func end() {}
}

/// Reads an archive that lies in memory.
func entries(of archive: [UInt8]) throws -> [CollectingSink.Entry] {
  let temporary = try TemporaryFolder()
  try temporary.write(archive, to: "archive")
  let sink = CollectingSink()
  try TarReader(try temporary.file("archive")).read(into: sink)
  return sink.entries
}

/// Writes an archive with small blocks, so that a few kilobytes make many of them.
func makeArchive(
  _ compression: Compression, workers: Int = 2, blockSize: Int = 4096,
  _ body: (TarWriter) throws -> Void
) throws -> [UInt8] {
  let temporary = try TemporaryFolder()
  let writer = try TarWriter(
    CompressionPipeline(
      output: try temporary.file("archive", .create(permissions: 0o600)), compression: compression,
      workers: workers, blockSize: blockSize), checksum: .none)
  try body(writer)
  let written = try writer.finish()
  let bytes = try temporary.read("archive")
  precondition(UInt64(bytes.count) == written.bytes)
  return bytes
}

/// A file as most are.
func plainFile(_ path: FilePath) -> TarMember { TarMember(path: path, kind: .file, mode: 0o600) }
