import StillModel
import StillSystem

/// What goes with an answer over the socket; open until it is sent.
struct Enclosures {
  var folders: [OpenFolder] = []
  var files: [OpenFile] = []

  var descriptors: [Int32] { folders.map(\.descriptor) + files.map(\.descriptor) }
}

extension OverwrittenChunks {
  /// A file in memory with the ranges: too much for a line.
  func file() throws -> OpenFile {
    let file = try OpenFile.inMemory()
    let numbers = ranges.flatMap { [$0.lowerBound, $0.upperBound] }
    try numbers.withUnsafeBytes { try file.writeAll($0) }
    return file
  }

  init(chunkSize: UInt64, file: OpenFile) throws {
    try file.rewind()
    let bytes = try file.readAll(limit: .max)
    let numbers = bytes.withUnsafeBytes { Array($0.bindMemory(to: UInt64.self)) }
    self.init(
      chunkSize: chunkSize,
      ranges: stride(from: 0, to: numbers.count - numbers.count % 2, by: 2).map {
        numbers[$0]..<numbers[$0 + 1]
      })
  }
}
