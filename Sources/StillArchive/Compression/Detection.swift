import StillModel
import StillSystem

/// How a file is compressed, by its first bytes, whatever it is called.
enum Packing {
  case plain, zstd, gzip, lz4

  init(beginning: [UInt8]) {
    let magic = beginning.prefix(4)
    if magic.starts(with: [0x1F, 0x8B]) {
      self = .gzip
    } else if magic.elementsEqual([0x28, 0xB5, 0x2F, 0xFD]) {
      self = .zstd
    } else if magic.elementsEqual(LZ4Frame.magic) {
      self = .lz4
    } else if let first = magic.first, first & 0xF0 == 0x50,
      magic.dropFirst().elementsEqual([0x2A, 0x4D, 0x18])
    {
      // A skippable frame may come first, as pzstd and seekable formats write it.
      self = .zstd
    } else {
      self = .plain
    }
  }

  /// Decompresses single frames; nil where nothing is compressed.
  func makeDecompressor() throws -> (any BlockDecompressor)? {
    switch self {
    case .plain: nil
    case .zstd: try ZstdDecompressor()
    case .gzip: try GzipDecompressor()
    case .lz4: try LZ4Decompressor()
    }
  }

  /// Everything of a file from `offset` on, decompressed.
  func source(_ file: OpenFile, from offset: UInt64) throws -> any ByteSource {
    let source = FileSource(file, from: offset)
    return switch self {
    case .plain: source
    case .zstd: try ZstdSource(source)
    case .gzip: try GzipSource(source)
    case .lz4: try LZ4Source(source)
    }
  }
}
